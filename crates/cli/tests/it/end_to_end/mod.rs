//! The shipped binary between real clients and real servers.

mod clients;
mod crash;
mod seeds;
mod world;
