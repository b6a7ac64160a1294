//! The model that follows a script, as a program.
#![allow(
    clippy::print_stdout,
    reason = "a program that talks to whoever started it"
)]

use clap::Parser;
use provost_testkit::model::Model;

/// A model that does what the prompt says
#[derive(Parser)]
struct Arguments {
    /// The port; any free one by default
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() {
    let model = Model::at(Arguments::parse().port);
    println!("{}", model.url());
    loop {
        std::thread::park();
    }
}
