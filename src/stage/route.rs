//! Who is told to avoid what, by which way, from when until when.
