//! The functions that pipeline SQL may call, and the ones that it must not.

/// Many rows to one value.
pub(super) const AGGREGATES: &[&str] = &[
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "last_value",
    "max",
    "mean",
    "median",
    "min",
    "percentile_cont",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
];

/// One row to one value.
pub(super) const SCALARS: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "cbrt",
    "ceil",
    "coalesce",
    "cos",
    "date_bin",
    "date_part",
    "date_trunc",
    "degrees",
    "exp",
    "floor",
    "from_unixtime",
    "gcd",
    "greatest",
    "ifnull",
    "isnan",
    "iszero",
    "lcm",
    "least",
    "ln",
    "log",
    "log10",
    "log2",
    "make_date",
    "nanvl",
    "nullif",
    "nvl",
    "nvl2",
    "pi",
    "pow",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sqrt",
    "tan",
    "to_date",
    "to_timestamp",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_unixtime",
    "trunc",
];

/// Another answer each time: with them the same recording gives other bytes.
pub(super) const NOT_REPEATABLE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "gen_random_uuid",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "random",
    "today",
    "uuid",
];

pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

pub(super) fn is_allowed(name: &str) -> bool {
    is_aggregate(name) || SCALARS.contains(&name)
}
