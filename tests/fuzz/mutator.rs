//! Changes recorded answers and requests as a hostile or broken peer might.
//!
//! Seeded and without a clock: a case is its number, and gives the same bytes on every machine. It
//! knows JSON, the framing of server-sent events and plain bytes, so that most cases get past the
//! parser into the code behind it (`json.rs`, `events.rs`). Coverage guides nothing here: that
//! needs a nightly compiler, and a campaign that a change cannot wait for.

/// Numbers that are drawn again on every machine alike (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// The dice of one case of one target.
    pub fn new(target: &str, case: u64) -> Self {
        let seed = target.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut dice = Self((seed ^ case.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        dice.below(1);
        dice
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Whether the one of `many` came.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Changes bytes without knowing what they are.
pub fn mutate_bytes(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len().saturating_add(1));
        let end = at.saturating_add(dice.below(40)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let odd: &[&[u8]] = &[b"\0", b"\xff\xfe", b"\xc3", b"\r\n\r\n", b"\"", b"{", b"]"];
                bytes.splice(at..at, dice.pick(odd).iter().copied());
            }
            _ => {
                bytes.splice(at..end, *b"data: ");
            }
        }
    }
    bytes
}

/// How many cases a target runs: as many as `FAREBOX_FUZZ_CASES` says, else what `cargo test` has
/// seconds for.
pub fn cases(default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a campaign says how long it is")]
    let told = std::env::var("FAREBOX_FUZZ_CASES").ok();
    told.map_or(default, |cases| cases.parse().expect("FAREBOX_FUZZ_CASES is a number"))
}

/// Runs the cases of a target, half of them on each of two threads; the number of one that fails
/// stands in its message.
pub fn run(target: &str, cases: u64, case: impl Fn(&mut Dice) + Sync) {
    let case = &case;
    std::thread::scope(|scope| {
        for first in 0..2 {
            scope.spawn(move || {
                for number in (first..cases).step_by(2) {
                    let one = || case(&mut Dice::new(target, number));
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(one));
                    assert!(done.is_ok(), "case {number} of {target} failed, see above");
                }
            });
        }
    });
}
