/* Counts the guest instructions that qemu-user retires: plugin interface version 1, declared here because Debian ships no header.
   Build: gcc -shared -fPIC -O2 -o libcount.so count.c */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PUBLIC __attribute__((visibility("default")))
PUBLIC int qemu_plugin_version = 1;

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, void *));
extern size_t qemu_plugin_tb_n_insns(const void *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(void *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);

static uint64_t instructions;

/* Every translated block adds its length when it runs (operation 0 is "add"). */
static void translated(uint64_t id, void *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &instructions, qemu_plugin_tb_n_insns(block));
}

static void ended(uint64_t id, void *unused) {
    (void)id, (void)unused;
    fprintf(stderr, "instructions=%llu\n", (unsigned long long)instructions);
}

PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, 0);
    return 0;
}
