/* sink.h - stderr: lines go out whole, and where that was asked for nobody waits for their reader.
 *
 * A pipe whose reader has stopped, or a journal on a full disk, takes no more after some hundred
 * lines; a process that waits for it answers nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SINK_LINE_MAX = 4096 }; /* bytes; PIPE_BUF: what a pipe takes in one piece */

/* From here on sink_put() never waits. For a service; a person at a pipe loses no line. The
 * descriptor's flags, which other processes may share, stay as they are. */
void sink_never_wait(void);

/* One write for one line, so that processes that share a stream do not mix theirs. True: it is
 * written, or what could not be written of it comes before the next line. False: nothing of it is.
 */
bool sink_put(const char *line, size_t len);
