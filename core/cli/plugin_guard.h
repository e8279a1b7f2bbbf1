/*
 * What a program does about an engine from outside that crashes or never comes back: say which plugin, which of its
 * entries and where in the input, and end. Once a program; plugins that behave notice nothing. Standard output becomes
 * line buffered, so that what was said before is not lost.
 *
 * A crash outside of the plugin, and every crash where a sanitizer looks after them, goes its usual way after the line.
 * Message, on stderr: `PROGRAM: plugin PATH: ENTRY crashed (SIGSEGV) at PLACE`; `... used a table that it gave back
 * (SIGSEGV) at PLACE` where plugin_shut_tables is on.
 */
#pragma once

struct plugin;

/* `seconds`: what one call may take, 0 = any time. `status`: exit code for what is caught. */
void plugin_guard(const char *program, const struct plugin *plugin, unsigned seconds, int status);

/* Before the plugin is closed: from here on nobody looks after it. Without a guard: nothing. */
void plugin_guard_end(void);

/* Where in the input we are, for the message; NULL: nowhere. The text must stay until the next call. */
void plugin_guard_place(const char *place);
