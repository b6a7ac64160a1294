//! The shipped binary between real clients and real servers.

mod agents;
mod authoring;
mod clients;
mod crash;
mod eras;
mod examples;
mod inspector;
mod native;
mod seeds;
mod servers;
mod ways;
mod world;
