//! Compiles `router_control.proto` without protoc.

use std::error::Error;

/// Fields that hold key material: kept out of every `Debug` output.
const SECRET_MESSAGES: [&str; 3] =
    [".sluice.control.v1.Direction", ".sluice.control.v1.Ticket", ".sluice.control.v1.Register"];

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(["router_control.proto"], ["."])?;
    let mut config = tonic_prost_build::Config::new();
    config.skip_debug(SECRET_MESSAGES);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
