//! A table of owners, keys and budgets as CSV.

use std::collections::BTreeMap;

use farebox_api::{CreateKey, PutBudget};
use farebox_core::Money;

use super::{Act, Fault, Step, is_id, owner};

/// The columns that a file may have, in any order; `kind` and `id` it must have.
const COLUMNS: [&str; 12] = [
    "kind",
    "id",
    "name",
    "org",
    "team",
    "user",
    "models",
    "labels",
    "month_usd",
    "day_usd",
    "total_usd",
    "mode",
];

/// One line, by column.
struct Line<'r> {
    number: usize,
    cells: BTreeMap<&'r str, &'r str>,
}

/// What a file asks for, or every fault of it.
pub fn plan(text: &str) -> Result<Vec<Step>, Vec<Fault>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| vec![Fault::new(1, "head", error.to_string())])?;
    let head = head.clone();
    let unknown = head.iter().find(|name| !COLUMNS.contains(name));
    if let Some(name) = unknown {
        let rule = format!("is no column; they are {}", COLUMNS.join(", "));
        return Err(vec![Fault::new(1, name, rule)]);
    }
    for needed in ["kind", "id"] {
        if !head.iter().any(|name| name == needed) {
            return Err(vec![Fault::new(1, needed, "is a column that must be there")]);
        }
    }
    let (mut steps, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let line = usize::try_from(line).unwrap_or_default();
                faults.push(Fault::new(line, "line", "has another number of cells than the head"));
                continue;
            }
        };
        let number = record.position().map_or(0, csv::Position::line);
        let cells = head.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        let number = usize::try_from(number).unwrap_or_default();
        let line = Line { number, cells: cells.collect() };
        match line.steps() {
            Ok(more) => steps.extend(more),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(steps) } else { Err(faults) }
}

impl Line<'_> {
    fn steps(&self) -> Result<Vec<Step>, Fault> {
        let kind = match self.needed("kind")? {
            "org" => "org",
            "team" => "team",
            "user" => "user",
            "key" => return self.key(),
            _ => return Err(self.fault("kind", "is org, team, user or key")),
        };
        for column in ["user", "models", "labels"] {
            if self.cell(column).is_some() {
                return Err(self.fault(column, "belongs to a key"));
            }
        }
        let of = ["org", "team"].map(|column| self.cell(column).map(str::to_owned));
        if kind != "user" && of.iter().any(Option::is_some) {
            return Err(self.fault("org", "and team belong to a user"));
        }
        let id = self.id("id")?;
        let act = owner(kind, id, self.cell("name").map(str::to_owned), of);
        let mut steps = vec![self.step(act)];
        if let Some(budget) = self.budget()? {
            steps.push(self.step(Act::Budget(format!("{kind}:{id}"), budget)));
        }
        Ok(steps)
    }

    /// A key: `id` is its name, its limits are its user's or its owner's business.
    fn key(&self) -> Result<Vec<Step>, Fault> {
        for column in ["org", "team", "month_usd", "day_usd", "total_usd", "mode"] {
            if self.cell(column).is_some() {
                let rule = "is not taken of a key: its id is not known before it is made";
                return Err(self.fault(column, rule));
            }
        }
        let list = |column: &str| {
            let cell = self.cell(column)?;
            Some(cell.split(';').map(|item| item.trim().to_owned()).collect::<Vec<_>>())
        };
        let mut labels = BTreeMap::new();
        for label in list("labels").unwrap_or_default() {
            let pair = label.split_once('=');
            let (name, value) =
                pair.ok_or_else(|| self.fault("labels", "are name=value with ; between"))?;
            labels.insert(name.to_owned(), value.to_owned());
        }
        farebox_core::Labels::of_key("labels", &labels)
            .map_err(|error| self.fault("labels", &error.to_string()))?;
        let user = self.id("user")?.to_owned();
        let name = self.needed("id")?.to_owned();
        let key = CreateKey { user, name, models: list("models"), labels, ..CreateKey::default() };
        Ok(vec![self.step(Act::Key(key))])
    }

    fn budget(&self) -> Result<Option<PutBudget>, Fault> {
        let limit = |column: &str| -> Result<Option<String>, Fault> {
            let Some(text) = self.cell(column) else { return Ok(None) };
            let amount = Money::parse_usd(text).ok().filter(|amount| *amount > Money::ZERO);
            let rule = "is an amount of USD above zero in digits, such as 100 or 0.5";
            Ok(Some(amount.ok_or_else(|| self.fault(column, rule))?.to_string()))
        };
        let budget = PutBudget {
            month_limit_usd: limit("month_usd")?,
            day_limit_usd: limit("day_usd")?,
            total_limit_usd: limit("total_usd")?,
            mode: self.cell("mode").map(str::to_owned),
            ..PutBudget::default()
        };
        const MODES: [&str; 5] = ["hard", "balanced", "soft", "observe", "closed"];
        if budget.mode.as_deref().is_some_and(|mode| !MODES.contains(&mode)) {
            return Err(self.fault("mode", &format!("is one of {}", MODES.join(", "))));
        }
        let limits = [&budget.month_limit_usd, &budget.day_limit_usd, &budget.total_limit_usd];
        let is_there = limits.iter().any(|limit| limit.is_some()) || budget.mode.is_some();
        Ok(is_there.then_some(budget))
    }

    fn id(&self, column: &'static str) -> Result<&str, Fault> {
        let id = self.needed(column)?;
        let rule = "is 1 to 64 letters, digits, _ - and ., beginning with a letter or digit";
        if is_id(id) { Ok(id) } else { Err(self.fault(column, rule)) }
    }

    fn needed(&self, column: &'static str) -> Result<&str, Fault> {
        self.cell(column).ok_or_else(|| self.fault(column, "is empty"))
    }

    fn cell(&self, column: &str) -> Option<&str> {
        self.cells.get(column).copied()
    }

    fn fault(&self, column: &str, rule: &str) -> Fault {
        Fault::new(self.number, column, rule)
    }

    const fn step(&self, what: Act) -> Step {
        Step { line: self.number, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let steps = plan(text).unwrap();
        steps
            .iter()
            .map(|step| {
                let (what, of) = step.told();
                format!("{} {what}: {of}", step.line)
            })
            .collect()
    }

    #[test]
    fn a_table_becomes_owners_keys_and_budgets_in_its_order() {
        let text = "kind,id,name,org,user,models,labels,month_usd,mode\n\
                    org,acme,Acme,,,,,1000,\n\
                    user,ann,Ann,acme,,,,50,soft\n\
                    key,ci,,,ann,openai/*;demo/chat,team=search,,\n";

        assert_eq!(
            told(text),
            [
                r#"2 org acme: {"name":"Acme"}"#,
                "2 budget of org:acme: month 1000, hard",
                r#"3 user ann: {"name":"Ann","org":"acme"}"#,
                "3 budget of user:ann: month 50, soft",
                "4 key ci: user ann",
            ]
        );
    }

    #[test]
    fn every_fault_is_told_by_line_and_field() {
        let text = "kind,id,user,month_usd,mode,labels\n\
                    robot,x,,,,\n\
                    user,a b,,,,\n\
                    user,ann,,-5,,\n\
                    user,bob,,5,strict,\n\
                    key,ci,,,,\n\
                    key,ci,ann,5,,\n\
                    key,ci,ann,,,team\n\
                    user,too,few\n\
                    user,ann,,1e3,,\n";

        let faults = plan(text).unwrap_err();

        let places: Vec<_> =
            faults.iter().map(|fault| (fault.line, fault.field.as_str())).collect();
        assert_eq!(
            places,
            [
                (2, "kind"),
                (3, "id"),
                (4, "month_usd"),
                (5, "mode"),
                (6, "user"),
                (7, "month_usd"),
                (8, "labels"),
                (9, "line"),
                (10, "month_usd"),
            ]
        );
        assert_eq!(plan("kind,id,secret\n").unwrap_err()[0].field, "secret");
        assert_eq!(plan("kind\n").unwrap_err()[0].field, "id");
    }
}
