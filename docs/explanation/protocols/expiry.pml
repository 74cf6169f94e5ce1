/* A commit expires by the rules while writers begin to build on it again, or point a ref at it.
 *
 * T is the tree of a commit that no ref shows any more. A writer takes a lease that names T, looks for a note that T is collected,
 * and moves a ref to a commit that needs T. A collector notes that T is collected, looks for leases and refs that need T, and
 * deletes T's data, or takes its note back. Leases hold here (lease.pml is about them).
 *
 * Rules:
 *   NOTE_PER_RUN	the note says which runs have made it; each run takes back its own word only, by a conditional write, and
 *			nobody deletes the note
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef COLLECTORS
#define COLLECTORS 2
#endif

#define NOTE 0
#define OBJECTS 1
#define HOLDERS COLLECTORS

bool there = true;		/* T's data */
bool needed;			/* a ref shows a commit that needs T */
#define INVARIANT assert(!needed || there)	/* what a ref reaches exists */

#include "store.pml"

bool leased[WRITERS];
byte finished;

#define IS_NOTED (at[NOTE].etag != ABSENT && at[NOTE].body != 0)
#ifdef NOTE_PER_RUN
#define WORD (1 << me)
#else
#define WORD 1
#endif

proctype Writer(byte me)
{
	leased[me] = true;
	if
	:: IS_NOTED
	:: else ->
		atomic {
			needed = true;
			INVARIANT
		};
		/* Later the ref moves on. */
		if
		:: needed = false
		:: skip
		fi
	fi;
	leased[me] = false;
	finished++
}

/* Goes on until our word is in the note, or is not. */
inline change_note(is_said)
{
	do
	:: atomic {
			held[me] = at[NOTE].etag;
			body = at[NOTE].body;
			if
			:: is_said && (body & WORD) -> break
			:: !is_said && !(body & WORD) -> break
			:: else
			fi
		};
		body = (is_said -> (body | WORD) : (body & ~WORD));
		put(NOTE, held[me], body, result)
	od;
	held[me] = 0;
	body = 0;
	result = 0
}

inline look_for_use()
{
	d_step {
		is_used = false;
		index = 0;
		do
		:: index < WRITERS -> is_used = is_used || leased[index]; index++
		:: else -> break
		od;
		index = 0
	};
	is_used = is_used || needed
}

inline collect()
{
	if
	:: needed ->
		/* T is kept by the rules. */
#ifdef NOTE_PER_RUN
		skip
#else
		/* What an earlier run has noted and not deleted is taken back. */
		if
		:: IS_NOTED && there -> delete(NOTE, result)
		:: else
		fi
#endif
	:: else ->
		change_note(true);
		look_for_use();
		if
		:: is_used ->
#ifdef NOTE_PER_RUN
			change_note(false)
#else
			delete(NOTE, result)
#endif
		:: else -> atomic {
				there = false;
				INVARIANT
			}
		fi
	fi
}

proctype Collector(byte me)
{
	byte body, index;
	bool is_used;
	mtype result;

	if
	:: collect()
	:: change_note(true)		/* killed after it */
	fi;
	finished++
}

/* What is dead is collected in the end. */
proctype LastCollector()
{
	byte body, index, me;
	bool is_used;
	mtype result;

	atomic {
		finished == WRITERS + COLLECTORS && !stray.waits;
		faults = 0;
		collect();
		assert(needed || !there)
	}
}

init {
	byte number;
	atomic {
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
