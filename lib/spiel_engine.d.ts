/* tslint:disable */
/* eslint-disable */

/** Starts workers for an engine's threads. */
export interface Workers {
    /** Threads of an engine that is not told how many. */
    readonly most: number;
    /**
     * Starts a worker for each thread, which instantiates the module on the memory and calls `runThread`. Resolves with
     * what keeps one of them from running, if anything does.
     */
    start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: Uint32Array,
    ): Promise<string | undefined>;
}


/**
 * An engine inside a WebAssembly module.
 */
export class WasmEngine {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * An engine that waits for `engineOpen`; its CPU device computes on threads of these workers.
     */
    constructor(workers: Workers);
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
 * Runs the thread at this address until its engine is freed. A worker calls it, once for each thread.
 */
export function runThread(thread: number): void;

/**
 * After a trap, the header of the reply that tells its cause, if it is known.
 */
export function takeFailure(): string | undefined;

/**
 * `{"version", "protocol"}` of this build.
 */
export function version(): string;
