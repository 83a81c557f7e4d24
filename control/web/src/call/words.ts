/* The server's codes of failure as sentences for a person. */

/* The connection itself was refused (connect_error). */
export function refusalInWords(code: string, message: string): string {
    if (/expired/i.test(code) || /expired/i.test(message)) {
        return 'This invitation has expired. Ask for a new link.';
    }
    if (/token|auth|unauth|jwt/i.test(code)) {
        return `This invitation is not valid (${code}). Ask for a new link.`;
    }
    return `The server refused the connection: ${message} (${code}).`;
}

/* room:join, or what follows it, failed. */
export function joinErrorInWords(code: string, message: string): string {
    switch (code) {
        case 'not_found':
        case 'room_not_found':
        case 'meeting_not_found':
            return 'There is no such meeting, or this invitation is for another one.';
        case 'forbidden':
            return 'This invitation does not allow you to join this meeting.';
        case 'room_full':
        case 'meeting_full':
            return 'The meeting is full.';
        case '':
            return `The call could not be set up: ${message}`;
        default:
            return `The meeting could not be joined: ${message} (${code}).`;
    }
}
