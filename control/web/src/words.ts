/* All that the page says, in English.  A translation replaces this file and nothing else. */
import type { Kind, Notice, Source } from './client';
import type { RestError } from './rest';

const things: Record<Source, string> = {
    mic: 'microphone',
    camera: 'camera',
    screen: 'screen',
    screen_audio: 'screen’s sound',
};
const kinds: Record<Kind, string> = { audio: 'sound', video: 'picture' };

export const words = {
    brand: 'KCS',
    titleOf: (meeting: string) => `${meeting} – KCS`,
    people: (n: number) => (n === 1 ? '1 person' : `${n} people`),
    you: '(you)',
    guest: 'Guest',
    someone: 'Someone',
    close: 'Close',
    cancel: 'Cancel',
    dismiss: 'Dismiss',

    opening: 'Opening camera and microphone…',
    connecting: 'Connecting…',
    joining: 'Joining the meeting…',

    /* signed in */
    signIn: {
        title: 'Sign in',
        lead: 'To plan meetings, begin them and find those that you are invited to.',
        again: 'Your sign-in has ended. Sign in once more to go on.',
        login: 'Account',
        password: 'Password',
        button: 'Sign in',
        wait: (seconds: number) => `Sign in (in ${seconds} s)`,
        invitation: 'Join with an invitation',
    },
    mine: {
        title: 'Your meetings',
        back: 'Your meetings',
        signOut: 'Sign out',
        now: 'Start a meeting now',
        nameNow: (name: string) => `Meeting of ${name}`,
        plan: 'Plan a meeting',
        looking: 'Looking for your meetings…',
        live: 'Now',
        coming: 'Coming up',
        none: 'Nothing is planned.',
        past: (n: number) => `Past 30 days (${n})`,
        more: 'Show more',
        start: 'Start',
        join: 'Join',
        noTime: 'At any time',
        over: 'over',
        when: (start: Date, end: Date | undefined) =>
            new Intl.DateTimeFormat('en', {
                weekday: 'short',
                day: 'numeric',
                month: 'short',
                hour: '2-digit',
                minute: '2-digit',
                hourCycle: 'h23',
                ...(start.getFullYear() === new Date().getFullYear()
                    ? {}
                    : { year: 'numeric' }),
            }).formatRange(start, end ?? start),
        every: (freq: string, n: number, days: number) => {
            const units = { DAILY: 'day', WEEKLY: 'week', MONTHLY: 'month', YEARLY: 'year' };
            const unit = units[freq as keyof typeof units] ?? freq;
            const on = days > 1 ? `, ${days} days` : '';
            return n === 1 ? `every ${unit}${on}` : `every ${n} ${unit}s${on}`;
        },
        actions: (name: string) => `Actions for ${name}`,
        made: (name: string) => `“${name}” is planned.`,
        ended: (name: string) => `“${name}” is over.`,
        remove: 'Delete',
        removeSure: (name: string) =>
            `Delete “${name}”? Links to it will no longer work, and who is there has to leave.`,
        removed: (name: string) => `“${name}” is deleted.`,
    },
    plan: {
        title: 'Title',
        start: 'Begins',
        length: 'Length',
        minutes: (n: number) =>
            n < 60 ? `${n} minutes` : n === 60 ? '1 hour' : `${n / 60} hours`,
        repeat: 'Repeats',
        repeats: {
            never: 'Never',
            daily: 'Every day',
            workdays: 'Monday to Friday',
            weekly: 'Every week',
            fortnightly: 'Every two weeks',
            monthly: 'Every month',
        },
        last: 'Until (empty: no end)',
        clock: 'The time is kept in UTC: where clocks change, it moves with them.',
        waiting: 'Who comes waits until I let them in',
        create: 'Plan it',
    },

    /* before */
    join: {
        title: (meeting: string) => (meeting === '' ? 'Join a meeting' : `Join “${meeting}”`),
        lead: 'Check how you look and sound. Nobody sees or hears you yet.',
        invitation: 'Invitation',
        invitationHint: 'The link that you were sent, or its token.',
        meeting: 'Meeting',
        name: 'Your name',
        button: 'Join the call',
        noCamera: 'No picture',
        cameraOff: 'Your camera is off',
        microphone: 'Microphone',
        camera: 'Camera',
        speaker: 'Speaker',
        looking: 'Looking…',
        none: 'None found',
        device: (kind: string, n: number) => `${kind} ${n}`,
        level: 'Loudness of your microphone',
        levelLabel: 'Speak to see it move',
        preview: 'Your picture',
        network: 'Connection',
    },
    network: {
        checking: 'Checking the connection…',
        good: (rtt: number, speed: string) => `Good: ${rtt} ms to the server${speed}`,
        slow: (rtt: number, speed: string) =>
            `Slow: ${rtt} ms to the server${speed}. Pictures may be small or stop.`,
        speed: (mbps: number) => `, ${mbps < 10 ? mbps.toFixed(1) : Math.round(mbps)} Mb/s`,
        noMedia: 'The server answers, but cannot carry sound and pictures at the moment.',
        noWebrtc: 'This browser cannot make calls (it has no WebRTC).',
        unreachable: 'The server cannot be reached. Look at your network.',
    },

    /* waiting, after */
    waiting: {
        title: 'Please wait',
        lead: 'The host will let you in soon. This page goes on by itself.',
        leave: 'Stop waiting',
    },
    ended: {
        left: 'You left the call',
        leftLead: 'Nothing is being sent any more; camera and microphone are off.',
        ended: 'The call ended',
        refused: 'You could not join',
        again: 'Join again',
    },

    /* recorded, and shown to the world */
    tape: {
        record: 'Record the meeting',
        stopRecord: 'Stop recording',
        live: 'Go live',
        stopLive: 'End the live stream',
        liveLink: 'Copy the viewers’ link',
        linkCopied: 'Link copied. Whoever has it can watch.',
        recording: 'Recording',
        question: 'You are being recorded or shown',
        onAir: 'Live',
        consent: (recorded: boolean, shown: boolean) =>
            `This meeting is ${[recorded && 'recorded', shown && 'shown live to others']
                .filter(Boolean)
                .join(' and ')}. Who stays agrees.`,
        agree: 'I agree',
        leave: 'Leave',
        failed: (reason: string) => `It has failed: ${reason}`,
    },
    watch: {
        title: 'KCS live',
        waiting: 'The stream has not begun, or has ended. This page goes on by itself.',
        ended: 'The stream has ended.',
        unsupported: 'This browser cannot play live streams.',
        nothing: 'This address names no stream.',
    },

    /* in the call */
    stage: 'People in the call',
    alone: 'You are the only one here. Share the link to invite others.',
    sound: 'Turn the sound on',
    controls: 'Call controls',
    turnOn: (thing: string) => `Turn the ${thing} on`,
    turnOff: (thing: string) => `Turn the ${thing} off`,
    microphone: 'microphone',
    camera: 'camera',
    share: 'Share the screen',
    stopShare: 'Stop sharing the screen',
    raise: 'Raise your hand',
    lower: 'Lower your hand',
    react: 'Send a reaction',
    chatButton: 'Chat',
    peopleButton: (waiting: number) =>
        waiting === 0 ? 'People' : `People, ${waiting} waiting`,
    more: 'More',
    invite: 'Copy the invitation link',
    invitePresenters: 'Copy a link for presenters',
    copied: (role: string) => `Link copied. Whoever opens it comes in as ${role}.`,
    copyByHand: 'Your browser lets no page copy here. This is the link:',
    statistics: 'Statistics',
    noMedia: 'no media yet',
    lost: (n: number) => `${n} lost`,
    leave: 'Leave the call',
    layoutTitle: 'Layout',
    layouts: { grid: 'Grid', speaker: 'Speaker', presentation: 'Presentation' },
    layoutForAll: 'Use this layout for everybody',
    settings: 'Devices',
    endForAll: 'End the meeting for all',
    endSure: 'End the meeting for everybody?',
    polls: 'Polls',
    board: 'Whiteboard',
    breakouts: 'Breakout rooms',
    previousPage: 'Previous page',
    nextPage: 'Next page',
    page: (n: number, of: number) => `Page ${n} of ${of}`,
    keys: 'Keys: hold Space to talk, Ctrl+D microphone, Ctrl+E camera',

    tile: {
        micOff: 'microphone off',
        cameraOff: 'camera off',
        hand: (place: number) => `hand raised, number ${place}`,
        speaking: 'speaking',
        pin: (name: string) => `Pin ${name}`,
        unpin: (name: string) => `Unpin ${name}`,
        screenOf: (name: string) => `Screen of ${name}`,
        ownScreen: 'You are sharing your screen',
        spotlight: 'in the spotlight',
        quality: (name: string, level: string) => `Connection of ${name}: ${level}`,
        levels: ['bad', 'weak', 'good'],
        figures: (kind: Kind, kbps: number, loss: string, jitter: number, rtt: number) =>
            `${kinds[kind]}: ${kbps} kb/s, ${loss} % lost, jitter ${jitter} ms` +
            (rtt > 0 ? `, ${rtt} ms round trip` : ''),
        noFigures: 'No figures yet',
    },

    chat: {
        title: 'Chat',
        empty: 'Nobody has written yet.',
        write: 'Write a message',
        send: 'Send',
        to: 'To',
        everybody: 'Everybody',
        privately: (name: string) => `to ${name} only`,
        older: 'Show older messages',
        edited: 'edited',
        deleted: 'This message was deleted.',
        edit: 'Edit',
        remove: 'Delete',
        react: 'React',
        actions: (name: string) => `Actions for this message of ${name}`,
        replyTo: 'Reply',
        replying: (name: string) => `Reply to ${name}`,
        editing: 'Edit your message',
        typing: (names: string[]) =>
            names.length === 1
                ? `${names[0]} is writing…`
                : names.length > 1
                  ? `${names.length} people are writing…`
                  : '',
        unread: (n: number) => (n === 0 ? 'Chat' : `Chat, ${n} new`),
    },

    roster: {
        title: 'People',
        search: 'Find a name',
        muteAll: 'Mute all',
        lock: 'Lock the meeting',
        unlock: 'Unlock the meeting',
        waitingRoomOn: 'Turn the waiting room on',
        waitingRoomOff: 'Turn the waiting room off',
        lowerAll: 'Lower all hands',
        lobby: (n: number) => `Waiting to be let in (${n})`,
        look: 'See who',
        admit: 'Admit',
        deny: 'Deny',
        admitAll: 'Admit all',
        actions: (name: string) => `Actions for ${name}`,
        mute: 'Mute',
        stopCamera: 'Turn the camera off',
        askUnmute: 'Ask to unmute',
        lowerHand: 'Lower the hand',
        spotlight: 'Show large to everybody',
        unspotlight: 'Show large no more',
        pin: 'Pin for me',
        unpin: 'Unpin',
        remove: 'Remove',
        ban: 'Remove for good',
        sure: (name: string) => `Remove ${name} from the meeting?`,
        makeRole: (role: string) => `Make ${role}`,
        write: 'Write privately',
        roles: {
            host: 'host',
            co_host: 'co-host',
            presenter: 'presenter',
            attendee: 'attendee',
            guest: 'guest',
        } as Record<string, string>,
        hands: 'Raised hands',
    },

    poll: {
        question: 'Question',
        option: (n: number) => `Answer ${n}`,
        add: 'Add an answer',
        multiple: 'More than one answer may be chosen',
        start: 'Ask',
        vote: 'Vote',
        voted: 'You have voted. You may change it.',
        end: 'End the poll',
        closed: 'This poll has ended.',
        votes: (n: number) => (n === 1 ? '1 vote' : `${n} votes`),
        empty: 'There is no poll yet.',
        fresh: 'New poll',
        told: (question: string) => `A new poll: ${question}`,
        look: 'Answer',
    },
    whiteboard: {
        label: 'Whiteboard. Draw with a pointer.',
        colour: 'Colour',
        colours: ['Ink', 'Red', 'Blue', 'Green'],
        clear: 'Clear',
        view: 'Only presenters and hosts can draw.',
    },
    breakout: {
        rooms: 'How many rooms',
        minutes: 'Minutes (empty: no end)',
        create: 'Make rooms',
        roomName: (n: number) => `Room ${n}`,
        open: 'Send people into them',
        close: 'Bring everybody back',
        message: 'Message to all rooms',
        send: 'Send to all rooms',
        members: (n: number) => (n === 0 ? 'nobody' : `${n} assigned`),
        moved: 'You are in a breakout room now.',
        back: 'You are back in the meeting.',
        leave: 'Back to the meeting',
        until: (time: string) => `Until ${time}`,
        join: 'Go there',
        empty: 'There are no breakout rooms.',
        said: (name: string, text: string) => `${name} to all rooms: ${text}`,
    },
    captions: 'Captions',
    emojis: {
        '👍': 'thumbs up',
        '❤️': 'heart',
        '😂': 'laughing',
        '🎉': 'celebration',
        '👏': 'applause',
        '😮': 'surprise',
    } as Record<string, string>,
    reacted: (name: string, what: string) => `${name}: ${what}`,

    /* said by the live region */
    came: (name: string) => `${name} has joined.`,
    went: (name: string) => `${name} has left.`,
    hand: (name: string) => `${name} has raised a hand.`,
    wrote: (name: string, text: string) => `${name} writes: ${text}`,
    shares: (name: string) => `${name} is sharing a screen.`,
    mutedByHost: (kind: string, name: string | undefined) =>
        `${name ?? 'A host'} has turned your ${media(kind)} off.`,
    unmuteAsked: (kind: string, name: string | undefined) =>
        `${name ?? 'A host'} asks you to turn your ${media(kind)} on.`,
    admittedMore: (n: number) =>
        n === 1 ? 'Somebody is waiting to be let in.' : `${n} people are waiting to be let in.`,
};

function media(kind: string): string {
    return kind === 'audio' ? 'microphone' : kind === 'video' ? 'camera' : 'screen';
}

/* A notice of the client, or why something ended, as a sentence. */
export function inWords(notice: Notice): string {
    const { code, detail = '', name = words.someone } = notice;
    const thing = notice.source === undefined ? 'device' : things[notice.source];

    if (code.startsWith('join:')) {
        return joinError(code.slice(5), detail);
    }
    if (code.startsWith('refused:')) {
        return refusal(code.slice(8), detail);
    }
    if (code.startsWith('asked:')) {
        return detail;
    }
    switch (code) {
        /* devices */
        case 'insecure':
            return `The ${thing} needs a secure page: open the https:// link, or use localhost.`;
        case 'denied':
            return (
                `Your browser does not let this page use the ${thing}. ` +
                'Allow it in the address bar, then turn it on here.'
            );
        case 'no_device':
            return `No ${thing} was found. You can still see and hear the others.`;
        case 'busy':
            return `The ${thing} is in use by another program or does not answer.`;
        case 'impossible':
            return `The ${thing} cannot do what was asked of it.`;
        case 'device_failed':
            return `The ${thing} could not be opened (${detail}).`;
        case 'device_gone':
            return `Your ${thing} was disconnected.`;
        case 'no_codec':
            return `This browser and the node have no ${detail || 'codec'} in common.`;
        case 'not_sent':
            return `Your ${thing} is not being sent: ${detail}`;
        /* the invitation */
        case 'token_ends':
            return (
                `Your invitation ends at ${new Date(detail).toLocaleTimeString()}. This call goes on, but if its ` +
                'connection breaks you need a new link to come back.'
            );
        /* others */
        case 'not_received':
            return `The ${kinds[notice.kind ?? 'video']} of ${name} cannot be received: ${detail}`;
        case 'your_role':
            return `You are now ${words.roster.roles[detail] ?? detail}.`;
        case 'said':
        case 'poll':
        case 'lobby':
            return detail;
        case 'not_kept':
            return `What happens now may not be kept: ${detail}.`;
        /* the connection */
        case 'no_answer':
            return 'The server did not answer. Trying again…';
        case 'crowded':
            return 'Many people are joining at this moment. You will be let in soon…';
        case 'connection_lost':
            return 'The connection to the server was lost. Reconnecting…';
        case 'unreachable':
            return 'The server cannot be reached. Trying again…';
        case 'media_lost':
            return 'The media connection was lost. Reconnecting…';
        case 'media_interrupted':
            return 'The media connection is interrupted…';
        case 'server_closed':
            return 'The server closed the connection.';
        case 'closed':
            return `The connection is closed (${detail}).`;
        case 'room_closed':
            return 'The meeting was ended.';
        case 'removed':
            return detail === ''
                ? 'A host has removed you from the meeting.'
                : `A host has removed you from the meeting: ${detail}`;
        case 'lobby_denied':
            return 'The host did not let you in.';
        case 'server_reports':
            return `The server reports: ${detail}`;
        /* refusals of what was asked */
        case 'forbidden':
            return `Your role does not allow that (${detail}).`;
        case 'muted_by_host':
            return 'A host has muted you. Ask to be allowed to speak.';
        case 'rate_limited':
            return 'That was too often. Wait a moment.';
        case 'not_implemented':
        case 'unknown_event':
            return 'This server cannot do that yet.';
        case 'offline':
        case 'timeout':
            return 'The server cannot be reached at the moment. Try again.';
        default:
            return `That did not work: ${detail || code}.`;
    }
}

/* What the node answers to a question over REST. */
export function restError({ status, code, message, waitS }: RestError): string {
    switch (status === 503 ? 'busy' : status === 429 ? 'rate_limited' : code) {
        case 'bad_credentials':
            return 'The account or the password is wrong.';
        case 'rate_limited':
            return `That was too often. Try again in ${waitS} seconds.`;
        case 'busy':
            return `The server is busy (${message}). Try again in ${waitS} seconds.`;
        case 'unreachable':
            return 'The server cannot be reached. Look at your network.';
        case 'forbidden':
            return 'Your account may not do that.';
        case 'not_found':
            return 'There is no such meeting any more.';
        case 'meeting_closed':
        case 'meeting_over':
            return `Nobody can come in: ${message}.`;
        default:
            return `That did not work: ${message}.`;
    }
}

/* The connection itself was refused. */
function refusal(code: string, message: string): string {
    if (/expired/i.test(code) || /expired/i.test(message)) {
        return 'This invitation has expired. Ask for a new link.';
    }
    if (/token|auth|unauth|jwt/i.test(code)) {
        return `This invitation is not valid (${code}). Ask for a new link.`;
    }
    return `The server refused the connection: ${message} (${code}).`;
}

/* room:join, or what follows it, failed. */
function joinError(code: string, message: string): string {
    switch (code) {
        case 'not_found':
        case 'room_not_found':
        case 'meeting_not_found':
            return 'There is no such meeting, or this invitation is for another one.';
        case 'forbidden':
            return 'This invitation does not allow you to join this meeting.';
        case 'locked':
        case 'room_locked':
            return 'The meeting is locked: nobody new may enter.';
        case 'banned':
            return 'A host has removed you from this meeting for good.';
        case 'room_full':
        case 'meeting_full':
            return 'The meeting is full.';
        case 'node_full':
            return 'The server has no room for more people.';
        case '':
            return `The call could not be set up: ${message}`;
        default:
            return `The meeting could not be joined: ${message} (${code}).`;
    }
}
