//! aplomb: the load-balancing tier of a Linux site in one program. The parts are in the library beside this.

fn main() -> std::process::ExitCode {
    aplomb::cli::main()
}
