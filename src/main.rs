//! The program. All it does is in the library; this hands over and ends with the exit code.

fn main() -> std::process::ExitCode {
    backfill::cli::main()
}
