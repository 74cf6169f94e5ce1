/* One file of a writable mount, while its own commits run and others change the branch.
 *
 * A content is a number. The kernel writes new contents and copies a committed file over it; `tarn commit` seals, publishes and
 * rebases; `tarn update` puts what is staged on the branch's head; others commit, or take a commit back. A command may be killed
 * after its publication.
 *
 * Rules:
 *   VERSION_REMEMBERED	a staged file remembers the content that it was written over, through a seal too; a base move compares
 *			that with what the new base has
 *   UNCHANGED_IS_SAME	a staged file counts as unchanged when it shows the very file that it was written over, and not because
 *			its bytes all lie in some committed file
 * NEW_FILE: at first the branch has no such file.
 */
#ifndef WRITES
#define WRITES 3
#endif
#ifndef COMMANDS
#define COMMANDS 3
#endif
#ifndef OTHERS
#define OTHERS 2
#endif

/* Which invariant is looked at; all of them when 0. */
#ifndef INVARIANTS
#define INVARIANTS 0
#endif
#define NOTHING_LOST(x)		assert(!(INVARIANTS == 0 || INVARIANTS == 1) || (x))
#define NOTHING_UNSEEN(x)	assert(!(INVARIANTS == 0 || INVARIANTS == 2) || (x))
#define NO_FALSE_CONFLICT(x)	assert(!(INVARIANTS == 0 || INVARIANTS == 3) || (x))

/* Contents. */
#define NONE 0
#define FIRST 1
#define COPIED 2		/* what another committed file holds */
#define THEIRS 3
#define OURS(n) (4 + n)
#define NOTHING 255

typedef File {
	bool staged;
	byte content;
	byte over;		/* the content that it was written over */
	byte from;		/* the committed file that shows through, if any */
	bool is_all_from;	/* nothing of it is staged bytes */
	/* For the proof: what the mount showed when its writer began, and what the user has decided against. */
	byte saw, agreed;
};

#ifdef NEW_FILE
byte head = NONE, base = NONE, previous = NONE;
#else
byte head = FIRST, base = FIRST, previous = FIRST;
#endif
byte head_version, base_version;	/* commits of the branch, by number */
File file;			/* as the workspace has it */
bool is_sealed;
File seal;			/* as the commit under way has it */
bool is_as_sealed;		/* nothing was written since */
bool is_noted;			/* the workspace knows the commit that is about to be published */
byte noted;			/* what that commit has here */
byte noted_from;		/* the version of the ref that it replaces */
bool is_published;		/* and the ref's history holds it */
bool has_conflict, is_decided;
byte conflict_with;
byte written;			/* for the proof: what was written last and must be there; NONE: others' may be */
hidden byte ancestor;
hidden byte is_unchanged;

#define SHOWN (file.staged -> file.content : base)

/* The version that was written over, as the workspace knows it. */
#ifdef VERSION_REMEMBERED
#define OVER(f) f.over
#else
#define OVER(f) f.from
#endif

#ifdef UNCHANGED_IS_SAME
#define UNCHANGED(f) (f.is_all_from && f.from == f.over)
#else
#define UNCHANGED(f) f.is_all_from
#endif

inline clear_file(f)
{
	f.staged = false; f.content = NONE; f.over = NONE; f.from = NONE; f.is_all_from = false; f.saw = NONE; f.agreed = NOTHING
}

inline copy_file(f, g)
{
	f.staged = g.staged; f.content = g.content; f.over = g.over; f.from = g.from; f.is_all_from = g.is_all_from; f.saw = g.saw; f.agreed = g.agreed
}

inline note_conflict(now)
{
	/* Nobody is told of a conflict that is none. */
	NO_FALSE_CONFLICT(now != file.saw || file.agreed != NOTHING);
	has_conflict = true;
	is_decided = false;
	conflict_with = now
}

/* Puts a file that stays staged on a new base. */
inline put_on(now)
{
	if
	:: UNCHANGED(file) ->
		/* What others did to it is taken over. */
		if
		:: file.content == file.saw -> written = NONE
		:: else
		fi;
		clear_file(file)
	:: else ->
		if
		:: OVER(file) != now && now != file.content -> note_conflict(now)
		:: else ->
			file.over = now;
			file.saw = (now == file.content -> now : file.saw)
		fi
	fi
}

inline must_show_what_was_written()
{
	NOTHING_LOST(written == NONE || SHOWN == written)
}

/* The commit that was made from the seal, with `now` at this path, becomes the base. */
inline rebase(now)
{
	/* Conflicts up to the seal were settled before it was published. */
	has_conflict = false;
	is_decided = false;
	conflict_with = NONE;
	if
	:: seal.staged && is_as_sealed ->
		/* It is committed. A merge may have taken others' content where we had changed nothing. */
		if
		:: now != seal.content -> NOTHING_LOST(seal.content == seal.saw); written = NONE
		:: else
		fi;
		clear_file(file)
	:: seal.staged && !is_as_sealed ->
		/* Written again since the seal: over what was sealed. */
		file.saw = seal.content;
#ifdef VERSION_REMEMBERED
		file.over = seal.content;
		put_on(now)
#else
		if
		:: UNCHANGED(file) -> clear_file(file)
		:: else ->
			if
			:: UNCHANGED(seal) && seal.from != now -> note_conflict(now)
			:: else
			fi
		fi
#endif
	:: !seal.staged && file.staged -> put_on(now)
	:: else ->
		/* Clean: what others have is shown. */
		if
		:: now != base -> written = NONE
		:: else
		fi
	fi;
	base = now;
	base_version = noted_from + 1;
	drop_seal();
	must_show_what_was_written()
}

inline drop_seal()
{
	is_sealed = false;
	is_as_sealed = false;
	is_noted = false;
	noted = NONE;
	noted_from = 0;
	is_published = false;
	clear_file(seal)
}

/* After a command that was killed. */
inline recover()
{
	d_step {
		if
		:: is_sealed && is_noted && is_published -> rebase(noted)
		:: is_sealed && !(is_noted && is_published) -> drop_seal()
		:: else
		fi
	}
}

inline commit()
{
	d_step {
		is_sealed = true;
		is_as_sealed = true;
		copy_file(seal, file)
	};
	do
	:: d_step {
			version = head_version;
			current = head
		};
		/* The three-way merge. */
		d_step {
			is_noted = false;
			is_open = has_conflict && !is_decided;
			incoming = (seal.staged -> seal.content : base);
			if
			:: is_open
			:: !is_open && (incoming == current || base == current) -> noted = incoming
			:: !is_open && incoming != current && base != current && incoming == base -> noted = current
			:: else ->
				if
				:: is_decided && conflict_with == current -> noted = incoming
				:: else ->
					is_open = true;
					has_conflict = true;
					is_decided = false;
					conflict_with = current
				fi
			fi;
			noted_from = version;
			is_noted = !is_open
		};
		if
		:: is_open || noted == current -> drop_seal(); break	/* a conflict, or nothing to commit */
		:: else
		fi;
		/* The compare-and-swap. */
		d_step {
			if
			:: head_version == version ->
				/* Nobody's change is overwritten unseen. */
				NOTHING_UNSEEN(!seal.staged || head == seal.saw || head == seal.agreed || noted == head);
				previous = head;
				head = noted;
				head_version++;
				is_published = true
			:: else
			fi
		};
		if
		:: is_published -> d_step { rebase(noted) }; break
		:: is_published -> break	/* killed before the rebase */
		:: else
		fi
	od;
	version = 0;
	current = NONE;
	incoming = NONE;
	is_open = false
}

inline update()
{
	d_step {
		if
		:: base_version != head_version ->
			if
			:: file.staged -> put_on(head)
			:: !file.staged && base != head -> written = NONE
			:: else
			fi;
			base = head;
			base_version = head_version;
			must_show_what_was_written()
		:: else
		fi
	}
}

/* The user looks at the conflict and decides for what is staged. */
inline resolve()
{
	d_step {
		if
		:: has_conflict && !is_decided ->
			is_decided = true;
			if
			:: file.staged ->
				file.agreed = conflict_with;
				/* The base may have them already: then it is what we write over from now on. */
				file.over = (base == conflict_with -> base : file.over)
			:: else
			fi
		:: else
		fi
	}
}

active proctype Commands()
{
	byte version, current, incoming, count;
	bool is_open;

	do
	:: count < COMMANDS ->
		count++;
		recover();
		if
		:: commit()
		:: update()
		:: resolve()
		fi
	:: else -> break
	od
}

inline begin_to_write()
{
	if
	:: !file.staged ->
		file.staged = true;
		file.over = base;
		file.saw = base;
		file.agreed = NOTHING;
		file.from = base
	:: else
	fi;
	is_as_sealed = false
}

active proctype Kernel()
{
	byte count;

	do
	:: count < WRITES -> d_step {
			begin_to_write();
			file.content = OURS(count);
			file.is_all_from = false;
			written = file.content;
			count++
		}
	:: count < WRITES && SHOWN != NONE -> d_step {
			/* chmod */
			file.content = SHOWN;
			file.is_all_from = (file.staged -> file.is_all_from : true);
			begin_to_write();
			count++
		}
	:: count < WRITES -> d_step {
			begin_to_write();
			/* cp: a file that is not in the base takes the other's blocks as its own base. */
			file.content = COPIED;
			file.is_all_from = file.from == NONE || file.from == COPIED;
			file.from = (file.is_all_from -> COPIED : file.from);
			written = file.content;
			count++
		}
	:: else -> break
	od
}

active proctype Others()
{
	byte count;

	do
	:: count < OTHERS -> d_step {
			count++;
			previous = head;
			head = THEIRS;
			head_version++
		}
	:: count < OTHERS -> d_step {
			/* Taken back. */
			ancestor = previous;
			count++;
			previous = head;
			head = ancestor;
			head_version++
		}
	:: else -> break
	od
}
