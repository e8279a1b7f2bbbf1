/*
 * What a target has to say when its run ends: at a normal end, at an abort, and when Ctrl-C, SIGTERM or a time limit's
 * signal stops libFuzzer, which leaves without exit handlers.
 */
#pragma once

/*
 * From here on print() is called once before the program ends. At the first input, when libFuzzer has installed its own
 * handlers: those run after ours. on_abort may be NULL; it is called after print() if the program aborts.
 */
void fuzz_end_begin(void (*print)(void), void (*on_abort)(void));

/* After each input. Does not return if a signal asked to stop meanwhile. */
void fuzz_end_if_asked(void);
