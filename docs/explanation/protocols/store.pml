/* The object store, as every model here sees it.
 *
 * A request that is answered was carried out. One that is not answered may have been carried out, may be carried out later, or
 * never; and a request that was answered may be carried out once more, later. FAULTS bounds how often that happens.
 *
 * A model defines OBJECTS (how many objects there are), HOLDERS (how many ETags processes keep in mind) and INVARIANT (checked
 * after every change) before it includes this.
 */
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef MAXIMUM_TIME
#define MAXIMUM_TIME 3
#endif

#ifndef DIGEST
#define DIGEST(body) (body)
#endif
#ifndef MAY_TICK
#define MAY_TICK true
#endif

#define ABSENT 0
/* The condition of an unconditional request, and one that never holds. */
#define ANY 255
#define STALE 254

mtype = { PUT, DELETE };
/* What the sender of a request learns. */
mtype = { DONE, REFUSED, UNKNOWN };

typedef Object {
	byte etag;
	byte body;
	byte date		/* by the store's clock */
};
typedef Request {
	bool waits;
	mtype operation;
	byte object;
	byte condition;
	byte body
};

Object at[OBJECTS];
/* A request that is still on its way although its sender waits for it no more. */
Request stray;
byte faults = FAULTS;
byte now = 1;			/* the store's clock */

/* The ETags that processes have read and may yet name in a condition. */
byte held[HOLDERS];
hidden byte holder;

#ifdef UNIQUE_ETAG
/* Every body holds a number that is used once, so an ETag that was read before a write is never that of the object again. What
 * the number is does not matter: here, a write makes all ETags stale that were read of the object, and takes the same one. */
#define ETAG(o) (1 + (o))
inline outdate(o)
{
	holder = 0;
	do
	:: holder < HOLDERS ->
		if
		:: held[holder] == ETAG(o) -> held[holder] = STALE
		:: else
		fi;
		holder++
	:: else -> break
	od;
	if
	:: stray.condition == ETAG(o) -> stray.condition = STALE
	:: else
	fi
}
#else
/* An ETag is a digest of the body. */
#define ETAG(o) (1 + DIGEST(at[o].body))
inline outdate(o)	{ skip }
#endif

inline carry_out(op, o, c, b, result)
{
	if
	:: c == ANY || at[o].etag == c ->
		outdate(o);
		if
		:: op == PUT ->
			at[o].body = b;
			at[o].etag = ETAG(o);
			at[o].date = now
		:: else ->
			at[o].etag = ABSENT;
			at[o].body = 0;
			at[o].date = 0
		fi;
		result = DONE;
		INVARIANT
	:: else ->
		result = REFUSED
	fi
}

inline leave_astray(op, o, c, b)
{
	stray.waits = true;
	stray.operation = op;
	stray.object = o;
	stray.condition = c;
	stray.body = b
}

/* `result` is for the sender. */
inline request(op, o, c, b, result)
{
	atomic {
		if
		:: carry_out(op, o, c, b, result)
		:: faults > 0 -> faults--;
			carry_out(op, o, c, b, result);
			result = UNKNOWN
		:: faults > 0 -> faults--;
			result = UNKNOWN
		:: faults > 0 && !stray.waits -> faults--;
			leave_astray(op, o, c, b);
			result = UNKNOWN
		:: faults > 0 && !stray.waits -> faults--;
			carry_out(op, o, c, b, result);
			leave_astray(op, o, c, b)
		fi
	}
}

inline put(o, c, b, result)	{ request(PUT, o, c, b, result) }
inline delete(o, result)	{ request(DELETE, o, ANY, 0, result) }

inline land(operation, target, condition, content, result)
{
	operation = stray.operation;
	target = stray.object;
	condition = stray.condition;
	content = stray.body;
	carry_out(operation, target, condition, content, result);
	operation = 0;
	target = 0;
	condition = 0;
	content = 0;
	result = 0;
	stray.waits = false;
	stray.operation = 0;
	stray.object = 0;
	stray.condition = 0;
	stray.body = 0
}

/* Carries out what is astray at any time, or never; and moves the clock. */
active proctype Store()
{
	mtype operation, result;
	byte target, condition, content;
end:	do
	:: atomic { stray.waits -> land(operation, target, condition, content, result) }
	:: atomic { now < MAXIMUM_TIME && MAY_TICK -> now++ }
	od
}
