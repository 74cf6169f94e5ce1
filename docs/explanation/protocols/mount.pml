/* The lease of a writable mount, while its commits and others' move the branch and a collector keeps the head only.
 *
 * Commits are numbered. A staged file may show bytes of the commit that it was written over; so the mount needs its base, and
 * every commit that a staged file shows. The mount is unmounted and mounted again once, when nothing is staged.
 *
 * Rules:
 *   BASE_NAMED_FIRST	the lease names a commit before the ref moves to it (our own), or before it becomes the base (others')
 *   (NAMED_AFTER_MOVE: our own commit is named when the ref has moved, before the base does)
 *   LEASE_SWAPPED	the lease is renewed only on condition that it is what its holder has written last
 *   LEASE_NAMED_ONCE	the lease of every mount has a name of its own
 *   STORE_CLOCK	a lease has lapsed when the store's clock says so, by the date that the store has given it
 * BEHIND: the mount's host is behind by more than a lease lasts.
 */
#ifndef COMMITS
#define COMMITS 3
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef MOUNTS
#define MOUNTS 1
#endif
#define LASTS 2			/* how long a lease holds */

#ifdef LEASE_NAMED_ONCE
#define LEASE session
#define OBJECTS MOUNTS
#else
#define LEASE 0
#define OBJECTS 1
#endif
#define HOLDERS 1

#define BIT(commit) (1 << (commit))
byte there = BIT(0);		/* commits whose data exists */
byte base;
byte shown;			/* commits that staged files show */
bool is_staged, is_written_since;	/* since the seal */
bool is_mounted, is_alive;
byte session;
#define NEEDED (is_mounted -> BIT(base) | shown : 0)
#define INVARIANT assert((NEEDED & ~there) == 0)	/* what is staged or mounted exists */

/* The mount looks at its lease in time. */
#define MAY_TICK (!is_alive || at[LEASE].etag == ABSENT || now < at[LEASE].date + LASTS - 1)
#include "store.pml"

byte head;
byte published = 1;
byte noted;			/* commits that a collector has noted as collected */
bool is_writing_lease;
byte coming;			/* commits that are about to become the base */
byte written;			/* commits that the lease of a running commit protects */
byte expires[OBJECTS];		/* as the lease tells, by the mount's clock */
byte known;			/* bases that were seen at looks */
byte saved;			/* what the lease names, as far as the mount knows */

#ifdef STORE_CLOCK
#define LAPSES(lease) (at[lease].date + LASTS)
#define NOTE_END skip
#else
#define NOTE_END expires[LEASE] = MOUNTS_CLOCK + LASTS_BY_MOUNT
#define LAPSES(lease) expires[lease]
#endif
#ifdef BEHIND
/* Its lease is over by the store's clock before it begins. */
#define MOUNTS_CLOCK 0
#define LASTS_BY_MOUNT 0
#else
#define MOUNTS_CLOCK now
#define LASTS_BY_MOUNT LASTS
#endif

/* Writes the lease, until it is there; whoever does has set `is_writing_lease`. */
inline save_lease(names)
{
	do
	::
#ifdef LEASE_SWAPPED
		put(LEASE, held[0], names, result);
#else
		put(LEASE, ANY, names, result);
#endif
		atomic {
			if
			:: result == DONE || at[LEASE].body == names ->
				held[0] = at[LEASE].etag;
				saved = names;
				NOTE_END;
				break
			:: else -> held[0] = at[LEASE].etag
			fi
		}
	od;
	atomic {
		result = 0;
		is_writing_lease = false
	}
}

/* What the lease is to name. */
inline choose_names()
{
#ifdef BASE_NAMED_FIRST
	names = BIT(base) | shown | coming
#else
	/* The bases that were seen at looks since nothing was staged. */
	known = (is_staged -> known : 0) | BIT(base);
	names = known
#endif
}

/* Every twenty seconds. */
active proctype Looks()
{
	byte names;
	mtype result;
end:	do
	:: atomic {
			is_mounted && !is_writing_lease;
			choose_names();
			if
			:: names != saved || !MAY_TICK -> is_writing_lease = true
			:: else -> names = 0; goto end
			fi
		};
		save_lease(names);
		names = 0
	od
}

inline name_first(commit)
{
#ifdef BASE_NAMED_FIRST
	atomic { !is_writing_lease -> is_writing_lease = true; coming = coming | BIT(commit); choose_names() };
	save_lease(names);
	names = 0
#else
	skip
#endif
}

inline commit()
{
	d_step {
		is_written_since = false;
		number = published;
		published++;
		written = BIT(base) | BIT(number);
		there = there | BIT(number)
	};
#ifndef NAMED_AFTER_MOVE
	name_first(number);
#endif
	head = number;
	/* Killed here, its lease lapses; then the next command goes on. */
	if
	:: written = 0
	:: skip
	fi;
#ifdef NAMED_AFTER_MOVE
	name_first(number);
#endif
	d_step {
		base = number;
		coming = 0;
		shown = (is_written_since -> shown : 0);
		is_staged = is_written_since;
		INVARIANT
	};
	written = 0
}

#ifdef BASE_NAMED_FIRST
#define BASE_MAY_BE(commit) !(noted & BIT(commit))
#else
#define BASE_MAY_BE(commit) true
#endif

inline update()
{
	number = head;
	name_first(number);
	d_step {
		coming = 0;
		if
		:: BASE_MAY_BE(number) -> base = number
		:: else			/* it was collected meanwhile */
		fi;
		INVARIANT
	}
}

inline unmount()
{
	d_step { is_mounted = false; known = 0 };
	!is_writing_lease;
	delete(LEASE, result);
	d_step { is_alive = false; held[0] = 0; saved = 0; session++ }
}

inline mount()
{
	is_alive = true;
	do
	:: number = head;
		atomic { !is_writing_lease -> is_writing_lease = true; names = BIT(number) };
		save_lease(names);
		names = 0;
		d_step {
			if
			:: !(noted & BIT(number)) -> base = number; known = BIT(base); is_mounted = true
			:: else
			fi;
			INVARIANT
		};
		if
		:: is_mounted -> break
		:: else
		fi
	od
}

active proctype Commands()
{
	byte number, names;
	mtype result;

	mount();
	do
	:: published <= COMMITS -> commit()
	:: update()
	:: !is_staged && session + 1 < MOUNTS -> 
		atomic { !is_staged -> is_mounted = false };
		unmount();
		mount()
	:: break
	od
}

active proctype Kernel()
{
	byte count;
	do
	:: count < WRITES -> d_step {
			is_mounted;
			is_staged = true;
			is_written_since = true;
			shown = shown | BIT(base);
			count++
		}
	:: else -> break
	od
}

active proctype Others()
{
	do
	:: published <= COMMITS -> d_step {
			there = there | BIT(published);
			head = published;
			published++
		}
	:: break
	od
}

active proctype Collector()
{
	byte present, expired, marked, index;

	d_step {
		present = now;
		expired = there & ~BIT(head) & ~written;
	};
	noted = noted | expired;
	d_step {
		marked = written;
		do
		:: index < OBJECTS ->
			if
			:: at[index].etag != ABSENT && LAPSES(index) > present -> marked = marked | at[index].body
			:: else
			fi;
			index++
		:: else -> break
		od;
		index = 0
	};
	marked = marked | BIT(head);
	d_step {
		noted = noted & ~(expired & marked);
		there = there & ~(expired & ~marked);
		INVARIANT
	}
}
