/*
 * Inside of service/image: what a decoder child may still ask of the kernel
 * once libvips is started: memory, threads of its own, and reading and writing
 * what is open. No file, no socket, no program, no other process.
 */
#ifndef SHOTAI_IMAGE_SECCOMP_H
#define SHOTAI_IMAGE_SECCOMP_H

#include <stdbool.h>

/* For all threads of this process, for good. False where the kernel has no such filter. */
bool image_seccomp(void);

#endif
