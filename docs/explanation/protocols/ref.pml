/* A ref moves by compare-and-swap, and its chain of ref updates tells who won.
 *
 * Every writer appends one update; one of them may be a reset, which shows an earlier commit again. A ref update names the one
 * that it follows.
 *
 * Rules:
 *   UNIQUE_ETAG	the ref object holds a number that is used once (a write id)
 *   READ_BACK		who was refused, or has no answer, looks for its own update in the ref's chain
 *   TOLD_UNKNOWN	who has no answer, and does not find its update, says that it does not know
 */
#ifndef WRITERS
#define WRITERS 3
#endif
#define REF 0
#define OBJECTS 1
#define HOLDERS WRITERS

/* Updates are numbered; 0 is the one that made the ref. A writer makes a new one for each attempt. */
#define ATTEMPTS 2
#define UPDATES (1 + WRITERS * ATTEMPTS)
#define UPDATE (1 + me * ATTEMPTS + attempt)
byte previous[UPDATES];
/* The last writer resets: the ref shows its first commit again. */
#define COMMIT(update) ((update) > (WRITERS - 1) * ATTEMPTS -> 0 : (update))
#define DIGEST(update) COMMIT(update)

byte newest;			/* of the chain, for the proof */
byte holds;			/* a set: updates in the chain */
/* Each update follows the one that it names, so none is lost. */
#define INVARIANT \
	assert(at[REF].body == newest || previous[at[REF].body] == newest); \
	newest = at[REF].body; \
	holds = holds | (1 << at[REF].body)

#include "store.pml"
byte succeeded;			/* sets: updates of which it was said that they were made, and that they were not */
byte failed;
byte finished;

proctype Writer(byte me)
{
	byte attempt;
	mtype result;

	do
	:: atomic {
			held[me] = at[REF].etag;
			previous[UPDATE] = at[REF].body
		};
		put(REF, held[me], UPDATE, result);
		if
		:: result == UNKNOWN ->		/* once more, as a client does */
			put(REF, held[me], UPDATE, result)
		:: else
		fi;
#ifdef READ_BACK
		if
		:: result != DONE && (holds & (1 << UPDATE)) -> result = DONE
		:: else
		fi;
#endif
		if
		:: result == DONE -> succeeded = succeeded | (1 << UPDATE); break
		:: result == REFUSED ->
			failed = failed | (1 << UPDATE);
			attempt++;
			if
			:: attempt == ATTEMPTS -> break
			:: else
			fi
		:: result == UNKNOWN ->
#ifdef TOLD_UNKNOWN
			break
#else
			failed = failed | (1 << UPDATE);
			break
#endif
		fi
	od;
	held[me] = 0;
	finished++
}

/* What was acknowledged is in the chain, and what was said to have failed is not and never will be. */
active proctype Auditor()
{
	finished == WRITERS && !stray.waits;
	assert((succeeded & ~holds) == 0);
	assert((failed & holds) == 0)
}

init {
	byte number;
	atomic {
		at[REF].etag = 1 + COMMIT(0);
		holds = 1;
		do
		:: number < WRITERS -> run Writer(number); number++
		:: else -> break
		od
	}
}
