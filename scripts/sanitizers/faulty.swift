// Programs that scripts/sanitize.sh tries its sanitizers on: what is wrong is reported, and what is right is not.
//   faulty race      two threads write, and nothing orders them: the thread sanitizer reports it
//   faulty freed     memory is read after it was freed: the address sanitizer reports it
//   faulty nothing   threads append to an array under a Mutex, and read copies of it without; the last of them frees what
//                    all have read: nothing is reported
import Dispatch
import Synchronization

let memory = UnsafeMutablePointer<Int>.allocate(capacity: 1)
memory.pointee = 0

final class Shared: Sendable {
    private let elements = Mutex<[Int]>([])

    @inline(never) func append(_ element: Int) { elements.withLock { $0.append(element) } }
    @inline(never) func copy() -> [Int] { elements.withLock { $0 } }
}

switch CommandLine.arguments.last {
case "race":
    DispatchQueue.concurrentPerform(iterations: 100_000) { _ in memory.pointee &+= 1 }
case "freed":
    memory.deallocate()
    memory.pointee &+= 1
default:
    let shared = Shared()
    let sum = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 200_000) { number in
        if number % 2 == 0 { shared.append(number) }
        if number % 2 == 1 { sum.add(shared.copy().last ?? 0, ordering: .relaxed) }
    }
    for number in 0..<5_000 {
        let object = Shared()
        object.append(number)
        let isRead = DispatchSemaphore(value: 0)
        for _ in 0..<2 {
            DispatchQueue.global().async {
                sum.add(object.copy().count, ordering: .relaxed)
                isRead.signal()
            }
        }
        // The other one reads and lets go some time.
        isRead.wait()
    }
}
