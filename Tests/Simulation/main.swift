import Glibc
import Logging
import TestSupport

// The order of a dictionary's keys differs between processes, unless the environment says otherwise: then a seed replays.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    perror("simulation: exec")
    exit(2)
}
LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
exit(try SimulationCommand(Array(CommandLine.arguments.dropFirst())).run())
