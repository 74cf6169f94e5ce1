/* Copies to a mirror, beside the mirror's collector.
 *
 * A copy takes a lease at the mirror, copies a commit's data, then the commit's record, then moves the mirror's ref. Any copy may
 * sleep beyond its lease. Records are never deleted.
 *
 * Rules:
 *   WHOLE_BY_REFS	only what the mirror's refs reach counts as copied; a record, or a pack that is there, proves nothing
 *   COPY_FENCED	a collector revokes a lapsed lease and writes the ref anew before it ignores it; a copy reads the ref, then sees
 *			whether its lease is still what it wrote, then swaps
 *   PACK_NAMED_ONCE	each copy of a pack has a name of its own, so that a late DELETE finds only what it was meant for
 *   LEASE_NAMED_ONCE	each copy's lease has a name of its own, and its creation is tried once
 */
#ifndef COPIES
#define COPIES 2
#endif
#ifndef COLLECTORS
#define COLLECTORS 1
#endif

#define REF 0
#define DATA 1
#ifdef LEASE_NAMED_ONCE
#define LEASES COPIES
#define LEASE (2 + me)
#define LEASE_CONDITION ABSENT
#else
#define LEASES 1
#define LEASE 2
#define LEASE_CONDITION ANY
#endif
#define OBJECTS (2 + LEASES)
#define SEEN_REF(p) (2 * (p))
#define SEEN_LEASE(p) (2 * (p) + 1)
#define COLLECTOR (COPIES + me)
#define HOLDERS (2 * (COPIES + COLLECTORS + 1))

/* Bodies. */
#define OLD 1
#define COPIED 2		/* the ref shows the commit; it needs DATA */
#define HELD 1
#define REVOKED 2
#define INVARIANT assert(at[REF].body != COPIED || at[DATA].etag != ABSENT)	/* what a ref reaches exists */

#include "store.pml"
bool has_record;
byte finished;

proctype Copy(byte me)
{
	mtype result;
	bool is_held, is_present;

	/* Under a name that all copies share, the lease of an earlier one that was broken off may be there. */
	do
	:: atomic {
			put(LEASE, LEASE_CONDITION, HELD, result);
			if
			:: result == DONE -> held[SEEN_LEASE(me)] = at[LEASE].etag; break
			:: else
			fi
		};
#ifdef LEASE_NAMED_ONCE
		goto stop
#endif
	od;
#ifdef WHOLE_BY_REFS
	is_present = at[REF].body == COPIED;
#else
	is_present = has_record || at[DATA].etag != ABSENT;
#endif
	if
	:: is_present
	:: else ->
		do
		:: put(DATA, ANY, 1, result);
			if
			:: result == DONE -> break
			:: else
			fi
		od
	fi;
	has_record = true;
	do
	:: atomic {
			held[SEEN_REF(me)] = at[REF].etag;
			if
			:: at[REF].body == COPIED -> break
			:: else
			fi
		};
#ifdef COPY_FENCED
		is_held = at[LEASE].etag == held[SEEN_LEASE(me)];
		if
		:: is_held
		:: else -> break
		fi;
#endif
		put(REF, held[SEEN_REF(me)], COPIED, result)
	od;
	if
	/* An unknown swap keeps the lease: lease.pml is about that. */
	:: at[REF].etag != held[SEEN_REF(me)] || at[REF].body == COPIED -> delete(LEASE, result)
	:: true				/* killed */
	fi;
stop:	atomic {
		held[SEEN_REF(me)] = 0;
		held[SEEN_LEASE(me)] = 0;
		result = 0;
		is_held = false;
		is_present = false;
		finished++
	}
}

/* Answers in `is_refused` whether a copy is under way. */
inline look_at_leases(all_lapsed)
{
	index = 2;
	do
	:: index < OBJECTS && !is_refused ->
		atomic {
			held[SEEN_LEASE(COLLECTOR)] = at[index].etag;
			body = at[index].body
		};
		if
		:: body == 0 -> index++
		:: body == HELD && !all_lapsed -> is_refused = true
		:: body == HELD ->
			/* It has not been renewed for long. */
#ifdef COPY_FENCED
			put(index, held[SEEN_LEASE(COLLECTOR)], REVOKED, result)
#else
			index++
#endif
		:: body == REVOKED -> must_fence = true; index++
		fi
	:: else -> break
	od;
	index = 0;
	held[SEEN_LEASE(COLLECTOR)] = 0;
	body = 0
}

inline fence_refs()
{
	do
	:: must_fence ->
		atomic {
			held[SEEN_REF(COLLECTOR)] = at[REF].etag;
			body = at[REF].body
		};
		put(REF, held[SEEN_REF(COLLECTOR)], body, result);
		if
		:: result == DONE -> must_fence = false
		:: else
		fi
	:: else -> break
	od;
	held[SEEN_REF(COLLECTOR)] = 0;
	body = 0
}

inline collect(all_lapsed)
{
	present = now;
	look_at_leases(all_lapsed);
	if
	:: !is_refused ->
		fence_refs();
		is_marked = at[REF].body == COPIED;
		atomic {
			held[SEEN_LEASE(COLLECTOR)] = at[DATA].etag;
			is_marked = is_marked || at[DATA].etag == ABSENT || at[DATA].date >= present
		};
		if
		:: !is_marked ->
#ifdef PACK_NAMED_ONCE
			/* The name that was listed: a later copy has another. */
			request(DELETE, DATA, held[SEEN_LEASE(COLLECTOR)], 0, result)
#else
			delete(DATA, result)
#endif
		:: else
		fi;
		held[SEEN_LEASE(COLLECTOR)] = 0
	:: else
	fi
}

proctype Collector(byte me)
{
	byte present, body, index;
	bool is_refused, must_fence, is_marked;
	mtype result;

	collect(false);
	finished++
}

/* What is dead is collected in the end. */
proctype LastCollector()
{
	byte present, body, index, me;
	bool is_refused, must_fence, is_marked;
	mtype result;

	atomic {
		finished == COPIES + COLLECTORS && !stray.waits;
		faults = 0;
		now = MAXIMUM_TIME + 1;
		me = COLLECTORS;
		collect(true);
		assert(at[REF].body == COPIED || at[DATA].etag == ABSENT)
	}
}

init {
	byte number;
	atomic {
		at[REF].body = OLD;
		at[REF].etag = ETAG(REF);
		do
		:: number < COPIES -> run Copy(number); number++
		:: else -> break
		od;
		number = 0;
		do
		:: number < COLLECTORS -> run Collector(number); number++
		:: else -> break
		od;
		number = 0;
		run LastCollector()
	}
}
