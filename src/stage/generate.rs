//! From a direction to what a writer is asked, and from its draft to words.
