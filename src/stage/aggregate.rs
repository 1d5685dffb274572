//! The rows of a closed window through the pipeline's SQL.
