//! Texts that every exchange's frames are made of.

use proptest::prelude::*;

/// A time in milliseconds.
pub(crate) fn ms() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => (1_500_000_000_000u64..2_000_000_000_000).prop_map(|v| v.to_string()),
        1 => Just("0".to_owned()),
        1 => (1u64..1_000_000_000_000_000_000).prop_map(|v| v.to_string()),
    ]
}

/// An id.
pub(crate) fn id() -> impl Strategy<Value = String> {
    prop_oneof![5 => 0u64..20_000_000_000_000, 1 => 0u64..1_000_000_000_000_000_000].prop_map(|v| v.to_string())
}

/// A price or size.
pub(crate) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "[1-9][0-9]{0,4}\\.[0-9]{1,4}",
        5 => "[1-9][0-9]{0,6}",
        3 => "0\\.0{0,4}[1-9][0-9]{0,3}0{0,3}",
        2 => Just("0".to_owned()),
        1 => Just("0.000".to_owned()),
        1 => "[0-9]{1,16}\\.[0-9]{1,8}",
        1 => "[1-9][0-9]{0,17}(\\.[0-9]{1,18})?",
    ]
}

/// The same in quotes.
pub(crate) fn quoted() -> impl Strategy<Value = String> {
    number().prop_map(|n| format!("\"{n}\""))
}

/// An object of these fields: name and JSON text of the value.
pub(crate) fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
