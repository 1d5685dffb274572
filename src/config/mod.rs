//! From a pipeline file to a plan, or to a report of everything that is wrong with it.
