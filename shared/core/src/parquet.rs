//! A table as a Parquet file: one row group, one uncompressed page a column, every value in plain.
//!
//! The crate `parquet` reads and writes all that the format can do and would be a large part of
//! each build; a table of a few thousand rows needs little of it. Source of the
//! format: apache/parquet-format, `README.md`, `Encodings.md` and `parquet.thrift`, with Thrift's
//! compact protocol (apache/thrift, `doc/specs/thrift-compact-protocol.md`); read 2026-11.

/// What a column holds. An empty text, and none, are null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// UTF-8.
    Text(Vec<String>),
    /// Amounts with twelve decimals: `DECIMAL(38, 12)`.
    Decimal(Vec<Option<i128>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Milliseconds since 1970 in UTC.
    Instant(Vec<Option<i64>>),
}

/// Both ends of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Of `parquet.thrift`: `FieldRepetitionType.OPTIONAL`, `Encoding.PLAIN` and `RLE`.
const OPTIONAL: i64 = 1;
const PLAIN: i64 = 0;
const RLE: i64 = 3;
/// Bytes of a decimal.
const DECIMAL_BYTES: i64 = 16;

/// A struct of Thrift's compact protocol: fields rise.
#[derive(Default)]
struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

/// Thrift's types in the compact protocol.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    fn field(&mut self, id: u8, kind: u8) {
        self.bytes.push((id.saturating_sub(self.last) << 4) | kind);
        self.last = id;
    }

    fn int(mut self, id: u8, kind: u8, value: i64) -> Self {
        self.field(id, kind);
        zigzag(&mut self.bytes, value);
        self
    }

    fn text(mut self, id: u8, text: &str) -> Self {
        self.field(id, BINARY);
        binary(&mut self.bytes, text.as_bytes());
        self
    }

    fn list(mut self, id: u8, kind: u8, items: &[Vec<u8>]) -> Self {
        self.field(id, LIST);
        match u8::try_from(items.len()) {
            Ok(count) if count < 15 => self.bytes.push((count << 4) | kind),
            _ => {
                self.bytes.push(0xF0 | kind);
                varint(&mut self.bytes, length(items.len()));
            }
        }
        items.iter().for_each(|item| self.bytes.extend(item));
        self
    }

    fn inner(mut self, id: u8, inner: Self) -> Self {
        self.field(id, STRUCT);
        self.bytes.extend(inner.end());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

/// A file of these columns, which are of one length. `name` is the schema's.
#[must_use]
pub fn file(name: &str, columns: &[(&str, Column)]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, column)| column.count());
    let rows = i64::try_from(rows).unwrap_or_default();
    let mut bytes = MAGIC.to_vec();
    let root = Struct::default().text(4, name).int(5, I32, count(columns.len())).end();
    let (mut schema, mut chunks) = (vec![root], Vec::new());
    for (name, column) in columns {
        let offset = count(bytes.len());
        bytes.extend(column.page());
        let size = count(bytes.len()).saturating_sub(offset);
        schema.push(column.schema(name));
        let mut path = Vec::new();
        binary(&mut path, name.as_bytes());
        let encodings = [PLAIN, RLE].map(zigzagged);
        let meta = Struct::default()
            .int(1, I32, column.kind())
            .list(2, I32, &encodings)
            .list(3, BINARY, &[path])
            .int(4, I32, 0)
            .int(5, I64, rows)
            .int(6, I64, size)
            .int(7, I64, size)
            .int(9, I64, offset);
        chunks.push(Struct::default().int(2, I64, offset).inner(3, meta).end());
    }
    let size = count(bytes.len()).saturating_sub(4);
    let group =
        Struct::default().list(1, STRUCT, &chunks).int(2, I64, size).int(3, I64, rows).end();
    let groups = if rows == 0 { Vec::new() } else { vec![group] };
    let footer = Struct::default()
        .int(1, I32, 1)
        .list(2, STRUCT, &schema)
        .int(3, I64, rows)
        .list(4, STRUCT, &groups)
        .text(6, concat!("farebox ", env!("CARGO_PKG_VERSION")))
        .end();
    bytes.extend(&footer);
    bytes.extend(u32::try_from(footer.len()).unwrap_or_default().to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

impl Column {
    fn count(&self) -> usize {
        match self {
            Self::Text(texts) => texts.len(),
            Self::Decimal(values) => values.len(),
            Self::Integer(values) | Self::Instant(values) => values.len(),
        }
    }

    /// `Type` of `parquet.thrift`: `BYTE_ARRAY`, `FIXED_LEN_BYTE_ARRAY`, `INT64`.
    const fn kind(&self) -> i64 {
        match self {
            Self::Text(_) => 6,
            Self::Decimal(_) => 7,
            Self::Integer(_) | Self::Instant(_) => 2,
        }
    }

    fn schema(&self, name: &str) -> Vec<u8> {
        let element = Struct::default().int(1, I32, self.kind());
        match self {
            Self::Decimal(_) => element
                .int(2, I32, DECIMAL_BYTES)
                .int(3, I32, OPTIONAL)
                .text(4, name)
                .int(6, I32, 5)
                .int(7, I32, 12)
                .int(8, I32, 38),
            // UTF8 and TIMESTAMP_MILLIS of `ConvertedType`.
            Self::Text(_) => element.int(3, I32, OPTIONAL).text(4, name).int(6, I32, 0),
            Self::Instant(_) => element.int(3, I32, OPTIONAL).text(4, name).int(6, I32, 9),
            Self::Integer(_) => element.int(3, I32, OPTIONAL).text(4, name),
        }
        .end()
    }

    /// A data page: which values are there, then those.
    fn page(&self) -> Vec<u8> {
        let mut there = Vec::new();
        let mut values: Vec<u8> = Vec::new();
        let mut value = |bytes: Option<&[u8]>| {
            there.push(bytes.is_some());
            values.extend(bytes.unwrap_or_default());
        };
        match self {
            Self::Text(texts) => texts.iter().for_each(|text| {
                let mut bytes =
                    u32::try_from(text.len()).unwrap_or_default().to_le_bytes().to_vec();
                bytes.extend(text.as_bytes());
                value(Some(bytes.as_slice()).filter(|_| !text.is_empty()));
            }),
            Self::Decimal(all) => {
                all.iter()
                    .for_each(|one| value(one.map(i128::to_be_bytes).as_ref().map(|b| &b[..])));
            }
            Self::Integer(all) | Self::Instant(all) => {
                all.iter()
                    .for_each(|one| value(one.map(i64::to_le_bytes).as_ref().map(|b| &b[..])));
            }
        }
        let levels = levels(&there);
        let mut body = u32::try_from(levels.len()).unwrap_or_default().to_le_bytes().to_vec();
        body.extend(levels);
        body.extend(values);
        let size = count(body.len());
        let data = Struct::default()
            .int(1, I32, count(self.count()))
            .int(2, I32, PLAIN)
            .int(3, I32, RLE)
            .int(4, I32, RLE);
        let head = Struct::default().int(1, I32, 0).int(2, I32, size).int(3, I32, size);
        let mut page = head.inner(5, data).end();
        page.extend(body);
        page
    }
}

/// Definition levels in runs: 1 is a value, 0 is null.
fn levels(there: &[bool]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for run in there.chunk_by(|a, b| a == b) {
        varint(&mut bytes, length(run.len()) << 1);
        bytes.push(u8::from(run.first().is_some_and(|is_there| *is_there)));
    }
    bytes
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or_default()
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or_default()
}

fn binary(bytes: &mut Vec<u8>, value: &[u8]) {
    varint(bytes, length(value.len()));
    bytes.extend(value);
}

fn zigzagged(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    zigzag(&mut bytes, value);
    bytes
}

fn zigzag(bytes: &mut Vec<u8>, value: i64) {
    varint(bytes, (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned());
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7F).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_thrifts_compact_protocol() {
        // The examples of the protocol's own document.
        for (value, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-64, vec![127])] {
            assert_eq!(zigzagged(value), bytes, "{value}");
        }
        let mut bytes = Vec::new();
        varint(&mut bytes, 50_399);
        assert_eq!(bytes, [0xDF, 0x89, 0x03]);
    }

    #[test]
    fn nulls_are_runs_of_levels() {
        assert_eq!(levels(&[true, true, true, false]), [6, 1, 2, 0]);
        assert!(levels(&[]).is_empty());
    }

    #[test]
    fn a_file_begins_and_ends_with_its_mark_and_tells_its_footers_length() {
        let bytes = file(
            "charges",
            &[
                ("Cost", Column::Decimal(vec![Some(-5), None])),
                ("Name", Column::Text(vec!["a".to_owned(), String::new()])),
            ],
        );

        assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
        let at = bytes.len() - 8;
        let footer = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(bytes[at - footer..][..2], [0x15, 0x02], "version 1, field 1 of an i32");
        assert!(bytes.windows(16).any(|window| window == (-5_i128).to_be_bytes()));
    }
}
