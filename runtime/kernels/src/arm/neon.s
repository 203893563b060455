@ The inner loops of 32-bit ARM with NEON. Two pairs of 8-bit products fit 16 bits, because no weight is -128.
@
@ Both routines take a structure of arm.rs in r0, as words in the order that they have there, and end with the one rounding rule:
@ steps are held to what 16 bits hold, and adding 1.5 * 2^23 rounds them to nearest, ties to even, in the low bits of the sum.
@ That NEON takes numbers below 2^-126 for zero changes nothing: they round to zero.
    .syntax unified
    .arch armv7-a
    .fpu neon
    .arm

    @ 32000, -32000 and 1.5 * 2^23 in q4, q5 and q6.
    .macro constants
    vmov.i32 q4, #0x46000000
    vmov.i32 q6, #0x4B000000
    vorr.i32 q4, #0x00FA0000
    vorr.i32 q6, #0x00400000
    vneg.f32 q5, q4
    .endm

    @ Four sums become steps: 16 bits in the lower half of each lane.
    .macro steps sum, multiplier
    vcvt.f32.s32 q\sum, q\sum
    vmul.f32 q\sum, q\sum, q\multiplier
    vmin.f32 q\sum, q\sum, q4
    vmax.f32 q\sum, q\sum, q5
    vadd.f32 q\sum, q\sum, q6
    .endm

    @ The zero point and the limits, from r6 on, in q6, q4 and q5.
    .macro limits
    vld1.8 {d12[]}, [r6]!
    vld1.8 {d8[], d9[]}, [r6]!
    vld1.8 {d10[], d11[]}, [r6]
    vmovl.s8 q6, d12
    .endm

    @ Sixteen steps in two vectors become stored values in the first of them.
    .macro stored first, second, low, high
    vqadd.s16 q\first, q\first, q6
    vqadd.s16 q\second, q\second, q6
    vqmovn.s16 d\low, q\first
    vqmovn.s16 d\high, q\second
    vmax.s8 q\first, q\first, q4
    vmin.s8 q\first, q\first, q5
    .endm

    @ `conv`: one block of sixteen outputs for all pixels, two at a time (the last one alone where their number is odd: then the
    @ second is the first again). Sums of the first pixel are in q8-q11, of the second in q12-q15; weights in q4-q7; values in d0
    @ and d1; pairs of values, spread, in d2 and d3; products in q2 and q3.

    .macro two_outputs first, second, sum, other, w0, w1, u0, u1
    vmull.s8 q2, d\w0, d\first
    vmull.s8 q3, d\w1, d\first
    vmlal.s8 q2, d\u0, d\second
    vmlal.s8 q3, d\u1, d\second
    vpadal.s16 q\sum, q2
    vpadal.s16 q\other, q3
    .endm

    .macro four_depths first, second
    vld1.8 {d8-d11}, [r3]!
    vld1.8 {d12-d15}, [r3]!
    vdup.16 d2, d0[\first]
    vdup.16 d3, d0[\second]
    two_outputs 2, 3, 8, 9, 8, 9, 12, 13
    two_outputs 2, 3, 10, 11, 10, 11, 14, 15
    vdup.16 d2, d1[\first]
    vdup.16 d3, d1[\second]
    two_outputs 2, 3, 12, 13, 8, 9, 12, 13
    two_outputs 2, 3, 14, 15, 10, 11, 14, 15
    .endm

    .text
    .balign 4
    .globl remedis_kernels_arm_conv
    .hidden remedis_kernels_arm_conv
    .type remedis_kernels_arm_conv, %function
remedis_kernels_arm_conv:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr r8, [r0, #4 * 1]            @ starts of the next pixel
    ldr r9, [r0, #4 * 7]            @ target of the next pixel
    ldr r10, [r0, #4 * 9]           @ pixels left
    cmp r10, #0
    beq 9f
1:  ldr r11, [r0, #4 * 2]           @ kernel rows left, at least one
    cmp r10, #1
    moveq r12, #0                   @ bytes to the starts of the second pixel
    movne r12, r11, lsl #2
    ldr r2, [r0, #4 * 5]            @ biases, for both pixels
    vld1.32 {d16-d19}, [r2]!
    vld1.32 {d20-d23}, [r2]!
    vmov q12, q8
    vmov q13, q9
    vmov q14, q10
    vmov q15, q11
    ldr r3, [r0, #4 * 4]            @ weights
    mov r1, r8
2:  ldr r4, [r1, r12]               @ a row of the window
    ldr r5, [r1], #4
    ldr r6, [r0, #4 * 0]
    ldr r7, [r0, #4 * 3]
    add r4, r4, r6                  @ values of the second pixel
    add r5, r5, r6                  @ values of the first pixel
    subs r7, r7, #8
    blo 4f
3:  vld1.8 {d0}, [r5]!
    vld1.8 {d1}, [r4]!
    four_depths 0, 1
    four_depths 2, 3
    subs r7, r7, #8
    bhs 3b
4:  adds r7, r7, #8
    beq 5f
    vld1.8 {d0}, [r5]
    vld1.8 {d1}, [r4]
    four_depths 0, 1
5:  subs r11, r11, #1
    bne 2b

    ldr r2, [r0, #4 * 6]            @ multipliers
    vld1.32 {d0-d3}, [r2]!
    vld1.32 {d4-d7}, [r2]
    constants
    steps 8, 0
    steps 9, 1
    steps 10, 2
    steps 11, 3
    steps 12, 0
    steps 13, 1
    steps 14, 2
    steps 15, 3
    vmovn.i32 d0, q8
    vmovn.i32 d1, q9
    vmovn.i32 d2, q10
    vmovn.i32 d3, q11
    vmovn.i32 d4, q12
    vmovn.i32 d5, q13
    vmovn.i32 d6, q14
    vmovn.i32 d7, q15
    add r6, r0, #4 * 10
    limits
    stored 0, 1, 0, 1
    stored 2, 3, 4, 5
    ldr r2, [r0, #4 * 8]            @ output
    ldr r4, [r9], #4
    cmp r12, #0
    add r5, r2, r4
    vst1.8 {d0, d1}, [r5]
    beq 9f
    ldr r4, [r9], #4
    add r5, r2, r4
    vst1.8 {d4, d5}, [r5]
    add r8, r1, r12
    subs r10, r10, #2
    bne 1b
9:  vpop {d8-d15}
    pop {r4-r11, pc}
    .size remedis_kernels_arm_conv, . - remedis_kernels_arm_conv

    @ `depthwise`: sixteen channels of a row of pixels, one pixel after the other, for windows of any size. Sums are in q8-q11, values
    @ in q0 and q1, weights in q2 and q3, products in q4 and q5.

    @ Values and weights of two taps.
    .macro two_taps
    vmull.s8 q4, d0, d4
    vmull.s8 q5, d1, d5
    vmlal.s8 q4, d2, d6
    vmlal.s8 q5, d3, d7
    add_products
    .endm

    .macro add_products
    vaddw.s16 q8, q8, d8
    vaddw.s16 q9, q9, d9
    vaddw.s16 q10, q10, d10
    vaddw.s16 q11, q11, d11
    .endm

    .globl remedis_kernels_arm_depthwise
    .hidden remedis_kernels_arm_depthwise
    .type remedis_kernels_arm_depthwise, %function
remedis_kernels_arm_depthwise:
    push {r4-r11, lr}
    vpush {d8-d15}
    mov r1, #0                      @ bytes to the values under the next window
    ldr r9, [r0, #4 * 4]            @ bytes from pixel to pixel
    ldr r10, [r0, #4 * 8]           @ output
    ldr r11, [r0, #4 * 9]           @ pixels left
    cmp r11, #0
    beq 9f
1:  ldr r12, [r0, #4 * 6]           @ biases
    ldr r2, [r0, #4 * 0]            @ rows
    ldr r3, [r0, #4 * 1]            @ rows left
    ldr r6, [r0, #4 * 5]            @ weights
    ldr lr, [r0, #4 * 2]            @ columns
    vld1.32 {d16-d19}, [r12]!
    vld1.32 {d20-d23}, [r12]
    subs r3, r3, #2
    blo 4f
2:  ldr r4, [r2], #4                @ two rows, one above the other
    ldr r5, [r2], #4
    add r4, r4, r1
    add r5, r5, r1
    mla r7, lr, r9, r6              @ weights of the lower row
    mov r8, lr
3:  vld1.8 {d0, d1}, [r4], r9
    vld1.8 {d2, d3}, [r5], r9
    vld1.8 {d4, d5}, [r6], r9
    vld1.8 {d6, d7}, [r7], r9
    two_taps
    subs r8, r8, #1
    bne 3b
    mov r6, r7
    subs r3, r3, #2
    bhs 2b
4:  adds r3, r3, #2
    beq 7f
    ldr r4, [r2]                    @ the last row, along itself
    add r4, r4, r1
    subs r8, lr, #2
    blo 6f
5:  vld1.8 {d0, d1}, [r4], r9
    vld1.8 {d2, d3}, [r4], r9
    vld1.8 {d4, d5}, [r6], r9
    vld1.8 {d6, d7}, [r6], r9
    two_taps
    subs r8, r8, #2
    bhs 5b
6:  adds r8, r8, #2
    beq 7f
    vld1.8 {d0, d1}, [r4]
    vld1.8 {d4, d5}, [r6]
    vmull.s8 q4, d0, d4
    vmull.s8 q5, d1, d5
    add_products
7:  ldr r12, [r0, #4 * 7]           @ multipliers
    add r6, r0, #4 * 10
    vld1.32 {d0-d3}, [r12]!
    vld1.32 {d4-d7}, [r12]
    constants
    steps 8, 0
    steps 9, 1
    steps 10, 2
    steps 11, 3
    vmovn.i32 d0, q8
    vmovn.i32 d1, q9
    vmovn.i32 d2, q10
    vmovn.i32 d3, q11
    limits
    stored 0, 1, 0, 1
    vst1.8 {d0, d1}, [r10], r9
    ldr r12, [r0, #4 * 3]           @ bytes from window to window
    add r1, r1, r12
    subs r11, r11, #1
    bne 1b
9:  vpop {d8-d15}
    pop {r4-r11, pc}
    .size remedis_kernels_arm_depthwise, . - remedis_kernels_arm_depthwise
