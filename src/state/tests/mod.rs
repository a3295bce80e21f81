mod corruption;
mod crash;
mod real;
mod replacement;
mod savepoint;
mod workload;
