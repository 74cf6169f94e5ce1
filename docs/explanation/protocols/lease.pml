/* A lease keeps what a writer has uploaded until its ref has moved; a collector must not wait for a dead writer for ever.
 *
 * Each writer uploads an object of its own, under a name that is used once, and adds it to what the ref reaches. Any process
 * may pause for any time, so to a collector any lease may seem to have lapsed.
 *
 * Rules:
 *   LEASE_NAMED_ONCE	whoever is not sure that its lease was created begins again under another name: here, it gives up
 *   LEASE_SWAPPED	a lease is renewed only on condition that it is what its holder has written last
 *   LEASE_REVOKED	a collector marks a lapsed lease as revoked, on condition that it is what was read, before it ignores it
 *   REFS_FENCED	a collector that ignores a lease writes the ref anew, before it reads what the ref reaches; a writer
 *			reads the ref, then sees whether its lease is still what it wrote, then swaps
 *   SETTLED		a writer that does not know what became of its swap makes the swap impossible before it drops the lease
 *   BORN_DELETED	a ref is created as a deleted one, and only then moved
 * CREATES: there is no ref at first.
 */
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef COLLECTORS
#define COLLECTORS 1
#endif

#define REF 0
#define LEASE(w) (1 + w)
#define OBJECTS (1 + WRITERS)
/* Where processes keep the ETags that they have read. */
#define SEEN_REF(p) (2 * (p))
#define SEEN_LEASE(p) (2 * (p) + 1)
#define HOLDERS (2 * (WRITERS + COLLECTORS + 1))
#define COLLECTOR (WRITERS + me)

/* What a lease says. Each body that its holder writes has a number of its own. */
#define TAKEN 1
#define RENEWED 2
#define REVOKED 3

/* A set of writers' objects: what the ref reaches is its body. */
#define OF(w) (1 << (w))
byte there;
byte uploaded[WRITERS];			/* when, by the store's clock */
byte began[WRITERS];			/* as the lease tells */
bool lapsed[WRITERS];			/* a collector has ignored the lease */

#define INVARIANT assert((at[REF].body & ~there) == 0)	/* what a ref reaches exists */

#include "store.pml"
byte finished;

/* Answers in `is_held` whether the lease is what we have written last. */
inline check()
{
#ifdef REFS_FENCED
	is_held = at[LEASE(me)].etag == held[SEEN_LEASE(me)]
#else
	/* By our own clock; who is paused just after this goes on. */
	is_held = !lapsed[me]
#endif
}

/* Answers in `is_held` whether the lease was created. */
inline take_lease()
{
	do
	:: put(LEASE(me), ABSENT, TAKEN, result);
		atomic {
			is_held = at[LEASE(me)].body == TAKEN;
			if
			:: is_held ->
				held[SEEN_LEASE(me)] = at[LEASE(me)].etag;
				began[me] = at[LEASE(me)].date;
				break
			:: else
			fi
		};
#ifdef LEASE_NAMED_ONCE
		break
#endif
	od
}

inline renew_lease()
{
#ifdef LEASE_SWAPPED
	put(LEASE(me), held[SEEN_LEASE(me)], RENEWED, result);
#else
	put(LEASE(me), ANY, RENEWED, result);
#endif
	atomic {
		if
		:: at[LEASE(me)].body == RENEWED -> held[SEEN_LEASE(me)] = at[LEASE(me)].etag
		:: else
		fi
	}
}

/* Goes on until the ref is not what it was when we named it in a condition. */
inline settle()
{
	do
	:: at[REF].etag == held[SEEN_REF(me)] && held[SEEN_REF(me)] != ABSENT ->
		put(REF, held[SEEN_REF(me)], body, result)
	:: else -> break
	od
}

proctype Writer(byte me)
{
	mtype result;
	bool is_held, is_unknown;
	byte body;

	take_lease();
	if
	:: is_held
	:: else -> goto stop
	fi;
	atomic {
		there = there | OF(me);
		uploaded[me] = now
	}
	if
	:: renew_lease()
	:: skip
	fi;
	do
	:: /* Read the ref. */
		atomic {
			held[SEEN_REF(me)] = at[REF].etag;
			body = at[REF].body;
			if
			:: body & OF(me) -> is_unknown = false; break
			:: else
			fi
		};
#ifdef BORN_DELETED
		if
		:: held[SEEN_REF(me)] == ABSENT -> put(REF, ABSENT, 0, result); goto again
		:: else
		fi;
#endif
		check();
		if
		:: is_held
		:: else -> break
		fi;
		put(REF, held[SEEN_REF(me)], body | OF(me), result);
		if
		:: result == DONE -> is_unknown = false; break
		:: result == REFUSED
		:: result == UNKNOWN -> is_unknown = true
		fi;
		if
		:: is_unknown && !(at[REF].body & OF(me)) -> break	/* we give up */
		:: skip
		fi;
again:		skip
	od;
#ifdef SETTLED
	if
	:: is_unknown -> settle()
	:: else
	fi;
#endif
	if
	:: delete(LEASE(me), result)
	:: skip							/* killed */
	fi;
stop:	atomic {
		held[SEEN_REF(me)] = 0;
		held[SEEN_LEASE(me)] = 0;
		finished++
	}
}

inline look_at_leases(all_lapsed)
{
	cutoff = now;
	must_fence = false;
	writer = 0;
	do
	:: writer < WRITERS ->
		atomic {
			held[SEEN_LEASE(COLLECTOR)] = at[LEASE(writer)].etag;
			body = at[LEASE(writer)].body
		};
		if
		:: body == 0 -> writer++
		:: body == REVOKED -> must_fence = true; writer++
		:: (body == TAKEN || body == RENEWED) && !all_lapsed ->
			cutoff = (began[writer] < cutoff -> began[writer] : cutoff);
			writer++
		:: body == TAKEN || body == RENEWED ->
			/* It has not been renewed for long. */
#ifdef LEASE_REVOKED
			put(LEASE(writer), held[SEEN_LEASE(COLLECTOR)], REVOKED, result);
			/* And look again. */
#else
			lapsed[writer] = true;
			must_fence = true;
			writer++
#endif
		fi
	:: else -> break
	od;
	held[SEEN_LEASE(COLLECTOR)] = 0;
	body = 0
}

inline fence_refs()
{
#ifdef REFS_FENCED
	if
	:: must_fence ->
		do
		:: atomic {
				held[SEEN_REF(COLLECTOR)] = at[REF].etag;
				body = at[REF].body
			};
			if
			:: held[SEEN_REF(COLLECTOR)] == ABSENT -> break
			:: else
			fi;
			put(REF, held[SEEN_REF(COLLECTOR)], body, result);
			if
			:: result == DONE -> break
			:: else
			fi
		od;
		held[SEEN_REF(COLLECTOR)] = 0;
		body = 0
	:: else
	fi
#else
	skip
#endif
}

inline sweep()
{
	marked = at[REF].body;
	writer = 0;
	do
	:: writer < WRITERS ->
		atomic {
			if
			:: (there & OF(writer)) && !(marked & OF(writer)) && uploaded[writer] < cutoff ->
				there = there & ~OF(writer);
				INVARIANT
			:: else
			fi
		};
		writer++
	:: else -> break
	od
}

proctype Collector(byte me)
{
	byte cutoff, body, writer, marked;
	bool must_fence;
	mtype result;

	look_at_leases(false);
	fence_refs();
	sweep();
	/* Revoked leases go once the refs are fenced. */
	writer = 0;
	do
	:: writer < WRITERS ->
		if
		:: must_fence && at[LEASE(writer)].body == REVOKED -> delete(LEASE(writer), result)
		:: else
		fi;
		writer++
	:: else -> break
	od;
	finished++
}

/* What is dead is collected in the end, whoever was killed. */
proctype LastCollector()
{
	byte cutoff, body, writer, marked, me;
	bool must_fence;
	mtype result;

	atomic {
		finished == WRITERS + COLLECTORS && !stray.waits;
		faults = 0;
		now = MAXIMUM_TIME + 1;
		me = COLLECTORS;
		look_at_leases(true);
		fence_refs();
		sweep();
		assert(there == at[REF].body)
	}
}

init {
	byte number;
	atomic {
#ifndef CREATES
		at[REF].etag = ETAG(REF);
#endif
		do
		:: number < WRITERS -> run Writer(number); number++
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
