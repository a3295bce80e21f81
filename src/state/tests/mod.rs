mod corruption;
mod crash;
mod real;
mod workload;
