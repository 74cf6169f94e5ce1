/* A host keeps copies of tree nodes, which say in which packs blocks lie, while sweeps delete nodes and packs and other hosts make
 * the same nodes again in other packs.
 *
 * X is a node; its blocks lie in pack 1. The branch moves on, X is dead; later another host makes X again, with pack 2, and notes
 * the way from pack 1 if X was still there. Our host has a copy of X, and publishes a tree that takes the place of the blocks from
 * its copy. A sweep tells that it begins to delete, and when it has ended.
 *
 * Rules:
 *   SWEEPS_NUMBERED	a copy is believed if it was fetched while no sweep was under way, and none has begun since: the number of
 *			sweeps is what it was
 *   (without: if it was fetched after the last sweep ended, by our host's clock, which is ahead)
 */
#ifndef SWEEPS
#define SWEEPS 2
#endif

#define BIT(pack) (1 << (pack))
byte place = 1;			/* the pack that X names in the bucket; 0: X is gone */
byte packs = BIT(1);		/* that are there */
bool needed = true;		/* the head reaches X */
byte head;			/* its version */
byte ours;			/* the pack that the tree which we have published names; 0: none */
bool leased;			/* our lease names the head's tree */
byte moved;			/* where the note for pack 1 leads; 0: none */
#define EXISTS(pack) (packs & BIT(pack))
#define REACHES(pack) (EXISTS(pack) || ((pack) == 1 && moved != 0 && EXISTS(moved)))
/* What a ref reaches exists. */
#define INVARIANT \
	assert(!needed || (place != 0 && REACHES(place))); \
	assert(ours == 0 || REACHES(ours))

byte number, under_way;		/* sweeps that have begun, and that go on */

active proctype Branch()
{
	/* X is needed no more. */
	d_step { needed = false; head++ };
	/* Another host makes it again. Its lease spares what it has uploaded. */
	d_step {
		packs = packs | BIT(2);
		moved = (place == 1 -> 2 : moved);
		place = 2;
		needed = true;
		head++;
		INVARIANT
	}
}

active proctype Host()
{
	byte copy, copied_at, version, place_taken;
	bool is_usable, is_believed;

	/* The copy, some time. */
	d_step { copy = place; copied_at = number; is_usable = under_way == 0 && place != 0 };
	/* A commit on the head. */
	do
	:: d_step { needed -> version = head };
		leased = true;
#ifdef SWEEPS_NUMBERED
		is_believed = is_usable && copied_at == number;
#else
		is_believed = is_usable && under_way == 0;
#endif
		place_taken = (is_believed -> copy : place);
		if
		:: place_taken == 0 -> break	/* collected meanwhile: refused */
		:: else
		fi;
		d_step {
			if
			:: head == version -> ours = place_taken; INVARIANT
			:: else
			fi
		};
		if
		:: ours != 0 -> break
		:: else
		fi;
		leased = false
	od;
	leased = false
}

active [SWEEPS] proctype Sweep()
{
	byte marked, planned, listed;
	bool is_marked;

	/* Leases first, then refs. */
	is_marked = leased;
	d_step {
		is_marked = is_marked || needed;
		marked = (is_marked && place != 0 -> BIT(place) : 0) | (ours != 0 -> BIT(ours) : 0);
		marked = marked | ((marked & BIT(1)) && moved != 0 -> BIT(moved) : 0);
		planned = packs & ~marked;
		listed = place
	};
	d_step { number++; under_way++ };
	/* X goes on condition that it is what was listed; packs by their names. */
	d_step {
		if
		:: !is_marked && place == listed -> place = 0
		:: else
		fi;
		INVARIANT
	};
	d_step { packs = packs & ~planned; INVARIANT };
	if
	:: under_way--
	:: skip			/* killed */
	fi
}
