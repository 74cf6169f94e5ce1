import BlockingIO
import Logging
package import ObjectDatabase
package import ProllyTree
package import Staging
import Versioning

/// Keeps from the garbage collector what staged files may show: the workspace's base, and each base since the workspace was last
/// empty.
///
/// A base is protected before the workspace stands on it (`BasePlanner` sees to that), so there is no moment at which
/// staged bytes lie in a commit that nothing protects. The lease's name is noted in the workspace: whoever opens it next goes on
/// with its trees under a lease of his own.
package final class WorkspaceLease: Sendable {
    private struct State {
        var trees: [NodeID]
        /// What a move is about to stand on.
        var next: NodeID?
    }

    private let workspace: Workspace
    private let database: ObjectDatabase
    private let lease: TreeLease
    private let state: Monitor<State>

    private static let mountDuration = Duration.days(3)
    /// How long staged changes that nobody mounts are sure of the commits they are based on.
    private static let unmountedDuration = Duration.days(30)

    /// Writes the lease. Throws the store's error, `.missingObject` when the base's commit is gone.
    package init(_ workspace: Workspace, _ database: ObjectDatabase) throws {
        self.workspace = workspace
        self.database = database
        let earlier = try workspace.baseLease().flatMap { try database.lease(id: $0) }
        var trees: [NodeID] = []
        if let earlier, try !workspace.isEmpty() {
            trees = earlier.lease.allTrees
            if try earlier.endSeconds <= database.storeSeconds() {
                database.logger.warning(
                    "the lease on the staged changes in \(workspace.directory) had ended: gc may have taken what they show"
                )
            }
        }
        let base = try database.commit(workspace.base()).tree
        trees = trees.filter { $0 != base } + [base]
        lease = TreeLease(
            database, purpose: .mount, subject: "workspace \(workspace.directory)", lasting: Self.mountDuration,
            trees: trees, outlivesProcess: true)
        state = Monitor(State(trees: trees))
        try lease.renew()
        try workspace.setBaseLease(lease.id)
        if let earlier { try database.removeLease(id: earlier.id) }
    }

    /// Protects a tree that the workspace is about to stand on: when this returns, the store knows of it.
    package func protect(_ tree: NodeID) throws {
        state.update { state in
            state.next = tree
            state.trees = state.trees.filter { $0 != tree } + [tree]
            lease.show(state.trees)
        }
        try renew()
    }

    /// Renews the lease when it is time, and lets go what nothing staged can show any more. To be called now and then.
    package func look() throws {
        let isEmpty = try workspace.isEmpty()
        let base = try database.commit(workspace.base()).tree
        state.update { state in
            if isEmpty { state.trees = state.trees.filter { $0 == base || $0 == state.next } }
            if !state.trees.contains(base) { state.trees.append(base) }
            lease.show(state.trees)
        }
        try renew()
    }

    private func renew() throws {
        do {
            try lease.renew()
        } catch ObjectDatabaseError.leaseLost(let age) {
            database.logger.warning(
                "the lease on the staged changes in \(workspace.directory) ended, \(age) after it was renewed: gc may have taken what they show"
            )
            lease.beginAgain()
            try lease.renew()
            try workspace.setBaseLease(lease.id)
        }
    }

    /// As `end`; a failure is logged.
    package func endLogging() {
        do {
            try end()
        } catch {
            database.logger.notice("the lease on staged changes was not ended: \(error)")
        }
    }

    /// Removes the lease; a workspace with staged changes keeps a longer one.
    package func end() throws {
        if try workspace.isEmpty() {
            lease.end()
            return try workspace.setBaseLease(nil)
        }
        lease.extend(to: Self.unmountedDuration)
        try renew()
    }
}
