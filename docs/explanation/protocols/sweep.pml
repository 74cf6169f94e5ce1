/* An object that is named by its content is deleted by collectors while writers make it again.
 *
 * X is a tree node that an expired commit has left behind. Writers upload a tree that holds the same node; a ref that shows the
 * tree needs X; later the ref moves away, and X is dead again.
 *
 * Rules:
 *   CONDITIONAL_DELETION	a collector replaces X by a tombstone, on condition that X is still what was found dead
 *   UNIQUE_ETAG		each writing of an object holds a number that is used once
 *   (neither: X is announced, listed again and deleted; a writer waits for the sweep's end and uploads X again)
 *   TOMBSTONE_GOES		tombstones are deleted, too
 *   DELETE_IF_MATCH		the store deletes an object on condition that it is what was read, and tombstones go only so
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef COLLECTORS
#define COLLECTORS 2
#endif

#define X 0
#define OBJECTS 1
#define HOLDERS (WRITERS + COLLECTORS + 1)
/* Where a collector keeps the ETag that it has read. */
#define COLLECTOR (WRITERS + me)
#define LIVE 1
#define TOMBSTONE 2
#define IS_LIVE (at[X].etag != ABSENT && at[X].body == LIVE)

bool needed;			/* the ref shows a tree that holds X */
#define INVARIANT assert(!needed || IS_LIVE)	/* what a ref reaches exists */

#include "store.pml"

/* When a writer's lease began; 0: there is none. The lease protocol itself is in lease.pml. */
byte began[WRITERS];
bool announced[COLLECTORS];
bool ended[COLLECTORS];
byte finished;

/* Uploads X: creates it, or replaces what is there on condition that it is what was read. */
inline upload()
{
	do
	:: held[me] = at[X].etag;
		put(X, held[me], LIVE, result);
		if
		:: result == DONE -> break
		:: else
		fi
	od;
	held[me] = 0;
	result = 0
}

proctype Writer(byte me)
{
	mtype result;
#ifndef CONDITIONAL_DELETION
	byte sweep;
	bool handled[COLLECTORS];
#endif

	began[me] = now;
	upload();
#ifndef CONDITIONAL_DELETION
	/* Whoever sees X announced waits for the end of that sweep, and uploads X again. */
	do
	:: sweep < COLLECTORS ->
		if
		:: announced[sweep] && !handled[sweep] ->
			handled[sweep] = true;
			ended[sweep];
			upload();
			sweep = 0
		:: else -> sweep++
		fi
	:: else -> break
	od;
#endif
	atomic {
		needed = true;
		INVARIANT
	}
	/* The branch moves on, and X is needed no more (until another writer needs it). */
	if
	:: needed = false
	:: skip
	fi;
	atomic {
		began[me] = 0;
		finished++
	}
}

/* Reads the leases, and after them the refs. */
inline mark()
{
	d_step {
		cutoff = now;
		index = 0;
		do
		:: index < WRITERS ->
			if
			:: began[index] != 0 && began[index] < cutoff -> cutoff = began[index]
			:: else
			fi;
			index++
		:: else -> break
		od;
		index = 0
	}
	is_marked = needed
}

/* Lists X. */
inline list(is_dead)
{
	d_step {
		held[COLLECTOR] = at[X].etag;
		is_dead = !is_marked && IS_LIVE && at[X].date < cutoff
	}
}

inline collect()
{
	list(is_dead);
	if
	:: is_dead ->
#ifdef CONDITIONAL_DELETION
		put(X, held[COLLECTOR], TOMBSTONE, result)
#else
		announced[me] = true;
		list(is_dead);
		if
		:: is_dead -> delete(X, result)
		:: else
		fi;
		ended[me] = true
#endif
	:: else
	fi;
	held[COLLECTOR] = 0
#ifdef TOMBSTONE_GOES
	;
	if
	:: at[X].etag != ABSENT && at[X].body == TOMBSTONE ->
#ifdef DELETE_IF_MATCH
		atomic {
			held[COLLECTOR] = at[X].etag;
			is_dead = held[COLLECTOR] != ABSENT && at[X].body == TOMBSTONE
		};
		if
		:: is_dead -> request(DELETE, X, held[COLLECTOR], 0, result)
		:: else
		fi;
		held[COLLECTOR] = 0
#else
		delete(X, result)
#endif
	:: else
	fi
#endif
}

proctype Collector(byte me)
{
	byte cutoff, index;
	bool is_marked, is_dead;
	mtype result;

	mark();
	collect();
	finished++
}

/* What is dead is collected in the end: a run that is left alone leaves nothing dead. */
proctype LastCollector()
{
	byte cutoff, index, me;
	bool is_marked, is_dead;
	mtype result;

	atomic {
		finished == WRITERS + COLLECTORS && !stray.waits;
		faults = 0;
		now = MAXIMUM_TIME + 1;
		mark();
		collect();
		assert(needed || !IS_LIVE)
	}
}

init {
	byte number;
	atomic {
		at[X].body = LIVE;
		at[X].etag = ETAG(X);
		number = 0;
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
