// Programs that scripts/sanitize.sh tries its sanitizers on: what is wrong is reported, and what is right is not.
//   faulty race      two threads write, and nothing orders them: the thread sanitizer reports it
//   faulty freed     memory is read after it was freed: the address sanitizer reports it
//   faulty nothing   many threads write under one Mutex, and nothing is reported
import Dispatch
import Synchronization

let memory = UnsafeMutablePointer<Int>.allocate(capacity: 1)
memory.pointee = 0

func write() { memory.pointee &+= 1 }

switch CommandLine.arguments.last {
case "race":
    DispatchQueue.concurrentPerform(iterations: 100_000) { _ in write() }
case "freed":
    memory.deallocate()
    write()
default:
    let lock = Mutex(())
    DispatchQueue.concurrentPerform(iterations: 100_000) { _ in lock.withLock { _ in write() } }
}
