//! SQL over the rows of one window, on DataFusion: checked once, planned once, run often.
