//! Joins the stages into a run.
