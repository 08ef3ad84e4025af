/* conninfo.h - what libpq makes of a conninfo, said without any part of a password. */
#pragma once

#include "base/problem.h"

/* False when libpq cannot read it, or when it gives a password, its own or that of a key; problem
 * says which, without a subject: "holds a password; ...". */
bool conninfo_judge(const char *conninfo, struct problem *problem);
