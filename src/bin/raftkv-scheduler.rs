//! The scheduler of a cluster, as a program: `raftkv-scheduler --help`.

fn main() -> std::process::ExitCode {
    raftkv::server::scheduler::main()
}
