//! Sizes on a disk.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::report::Findings;
use super::super::tree::{Content, Node};
use super::{Read, wrong_type};

/// A number of bytes: a whole number and its unit, `500MB`, `2GB`; a kB is 1000 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub u64);

const UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

impl Size {
    const HELP: &str = "a whole number and a unit (kB, MB, GB, TB): `500MB`, `2GB`";

    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*bytes).map(Self)
    }

    /// What somebody may have meant by a text that is no size.
    fn meant(text: &str) -> Option<String> {
        let text = text.trim().to_lowercase();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().ok()?;
        let bytes = match unit.trim() {
            "" | "b" | "bytes" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "ki" | "kib" => 1_024.0,
            "mi" | "mib" => 1_048_576.0,
            "gi" | "gib" => 1_073_741_824.0,
            "ti" | "tib" => 1_099_511_627_776.0,
            _ => return None,
        };
        // Rounded up to something that reads well: 2 GiB are 2148 MB.
        let bytes = number * bytes;
        let unit = if bytes < 1e9 { 1e3 } else { 1e6 };
        let units = (bytes / unit).ceil();
        (units < 1e12).then(|| Self(units as u64 * unit as u64).to_string())
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = UNITS.iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(&("kB", 1_000));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl Read for Size {
    const EXAMPLE: &str = "2GB";

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Content::Scalar(scalar) = &node.content else {
            wrong_type(node, "a size", findings).help(Self::HELP);
            return None;
        };
        let size = Self::parse(&scalar.text);
        if size.is_none() {
            let meant = Self::meant(&scalar.text);
            wrong_type(node, "a size", findings).did_you_mean(meant.as_deref()).help(Self::HELP);
        }
        size
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: a whole number and its unit, 500MB, 2GB.",
            "type": "string",
            "pattern": "^[0-9]+(kB|MB|GB|TB)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0kB", 0),
            ("1kB", 1_000),
            ("500MB", 500_000_000),
            ("2GB", 2_000_000_000),
            ("3TB", 3_000_000_000_000),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string(), text);
        }
        for text in
            ["", "2", "GB", "-2GB", "2 GB", "2gb", "1.5GB", "2GiB", "99999999999999999999TB"]
        {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_that_were_meant() {
        for (text, meant) in [
            ("2gb", Some("2GB")),
            ("2 GB", Some("2GB")),
            ("2G", Some("2GB")),
            ("1.5GB", Some("1500MB")),
            ("1MiB", Some("1049kB")),
            ("2 GiB", Some("2148MB")),
            ("2000000", Some("2MB")),
            ("much", None),
        ] {
            assert_eq!(Size::meant(text).as_deref(), meant, "{text}");
        }
    }
}
