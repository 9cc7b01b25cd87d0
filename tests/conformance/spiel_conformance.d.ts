/* tslint:disable */
/* eslint-disable */

/**
 * One case under way; a disagreement ends it by a trap, whose cause `takeFailure` tells.
 */
export class Conformance {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The names of all cases.
     */
    static names(): string[];
    /**
     * The case of this number, of those of [`Self::names`].
     */
    constructor(number: number);
    /**
     * Computes until the case has ended, which it returns, or the GPU must be waited for.
     */
    poll(): boolean;
    /**
     * Resolves when polling again leads further.
     */
    woken(): Promise<void>;
}

/**
 * An engine inside a WebAssembly module.
 */
export class WasmEngine {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * An engine that waits for `engineOpen`.
     */
    constructor();
    /**
     * Computes until the reply is there or the device must be waited for.
     */
    poll(): WasmReply | undefined;
    /**
     * Starts a request, which [`Self::poll`] carries out; returns whether the engine was free.
     */
    start(header: string, payload: Uint8Array | number[]): boolean;
    /**
     * Resolves when polling again leads further.
     */
    woken(): Promise<void>;
}

/**
 * A reply's header and payload.
 */
export class WasmReply {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The payload, handed over: it is empty from then on.
     */
    takePayload(): Uint8Array;
    /**
     * The header, as JSON.
     */
    readonly header: string;
}

/**
 * After a trap, the header of the reply that tells its cause, if it is known.
 */
export function takeFailure(): string | undefined;

/**
 * `{"version", "protocol"}` of this build.
 */
export function version(): string;
