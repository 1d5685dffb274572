//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The table of relocations of a program this size is 5 MB, read whole at the start; packed it is next
    // to nothing. It takes glibc 2.36 (Debian 12) to read it, so only what goes on a unit has it.
    let on = |key: &str| std::env::var(key).unwrap_or_default();
    let edge = on("OUT_DIR").replace('\\', "/").contains("/edge/");
    if edge && on("CARGO_CFG_TARGET_OS") == "linux" && on("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
