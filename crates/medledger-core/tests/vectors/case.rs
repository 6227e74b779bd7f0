//! Cases and files of them, as the README beside the files demands.

use super::Judge;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const SOURCE: &str =
    "Written by crates/medledger-core/tests/vectors from fixed seeds; its test compares them.";

/// One case: inputs and outputs, and what comes of them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: String,
    expect: String,
    reason: String,
    pitfall: Option<u8>,
    fields: Map<String, Value>,
    order: Vec<String>,
}

pub(crate) struct File {
    pub(crate) about: &'static str,
    pub(crate) judge: Judge,
    pub(crate) cases: Vec<Case>,
}

impl Case {
    pub(crate) fn new(name: &str, expect: &str, reason: &str) -> Self {
        Self {
            name: name.to_owned(),
            expect: expect.to_owned(),
            reason: reason.to_owned(),
            pitfall: None,
            fields: Map::new(),
            order: Vec::new(),
        }
    }

    pub(crate) fn pitfall(self, number: u8) -> Self {
        Self { pitfall: Some(number), ..self }
    }

    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.order.push(field.to_owned());
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    pub(crate) fn hex(self, field: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.with(field, super::hex(bytes))
    }

    /// The bytes of a field in hex, or of a `repeat`.
    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        let decode =
            |text: &Value| data_encoding::HEXLOWER.decode(text.as_str().unwrap().as_bytes());
        match &self.fields[field] {
            Value::Object(run) => {
                let count = run["count"].as_u64().unwrap() as usize;
                decode(&run["repeat"]).unwrap().repeat(count)
            }
            text => decode(text).unwrap(),
        }
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap()
    }

    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn read(value: &Value) -> Self {
        let Value::Object(mut fields) = value.clone() else { panic!("a case is a map") };
        let mut take = |field| match fields.remove(field) {
            Some(Value::String(text)) => text,
            other => panic!("{field}: {other:?}"),
        };
        let (name, expect, reason) = (take("name"), take("expect"), take("reason"));
        let pitfall = fields.remove("pitfall").map(|number| number.as_u64().unwrap() as u8);
        let order = fields.keys().cloned().collect();
        Self { name, expect, reason, pitfall, fields, order }
    }

    fn write(&self) -> String {
        let mut lines = vec![
            format!("\"name\": {}", json!(self.name)),
            format!("\"expect\": {}", json!(self.expect)),
            format!("\"reason\": {}", json!(self.reason)),
        ];
        lines.extend(self.pitfall.map(|number| format!("\"pitfall\": {number}")));
        lines.extend(self.order.iter().map(|field| format!("\"{field}\": {}", self.fields[field])));
        format!("    {{\n      {}\n    }}", lines.join(",\n      "))
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

/// Names of all files there are.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

impl File {
    pub(crate) fn push(&mut self, case: Case) {
        self.cases.push(case);
    }

    fn write(&self) -> String {
        let cases: Vec<_> = self.cases.iter().map(Case::write).collect();
        format!(
            "{{\n  \"about\": {},\n  \"source\": {},\n  \"cases\": [\n{}\n  ]\n}}\n",
            json!(self.about),
            json!(SOURCE),
            cases.join(",\n")
        )
    }

    /// Compares the committed file with this one, and what it expects with what happens.
    pub(crate) fn check(&self, name: &str) {
        let path = folder().join(format!("{name}.json"));
        let written = self.write();
        assert!(written.len() < 150_000, "{name}.json has {} bytes", written.len());
        if std::env::var_os("MEDLEDGER_WRITE_VECTORS").is_some_and(|v| v == "1") {
            std::fs::write(&path, &written).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        let value: Value = serde_json::from_str(&committed).unwrap();
        let cases: Vec<_> = value["cases"].as_array().unwrap().iter().map(Case::read).collect();
        assert!(!cases.is_empty());
        let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "{name}.json: a name twice");
        for case in &cases {
            let found = (self.judge)(case);
            assert_eq!(found, case.expect, "{name}.json, {}: {}", case.name, case.reason);
        }
        assert!(committed == written, "{name}.json is stale: the format has changed");
    }
}
