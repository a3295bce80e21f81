mod corruption;
mod crash;
mod real;
mod replacement;
mod savepoint;
pub mod workload;
