//! The Rust SDK as a client under test, for
//! `tidegate conformance -- target/debug/examples/rust_client`.

#[path = "../tests/it/driver.rs"]
mod driver;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    driver::drive(tokio::io::stdin(), tokio::io::stdout()).await
}
