/* tslint:disable */
/* eslint-disable */

/**
 * An engine inside a WebAssembly module.
 */
export class WasmEngine {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Carries out a request.
     */
    call(header: string, payload: Uint8Array | number[]): Promise<WasmReply>;
    /**
     * An engine that waits for `engineOpen`.
     */
    constructor();
}

/**
 * A reply's header and payload.
 */
export class WasmReply {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The header, as JSON.
     */
    readonly header: string;
    /**
     * The payload, copied out.
     */
    readonly payload: Uint8Array;
}

/**
 * `{"version", "protocol"}` of this build.
 */
export function version(): string;
