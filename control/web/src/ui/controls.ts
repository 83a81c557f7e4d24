/* The bar under the stage: microphone, camera, invite, statistics, leave. */
import type { Call } from '../call/call';
import type { Kind } from '../call/protocol';
import { el, icon } from './dom';

export interface ControlActions {
    toggle(kind: Kind): void;
    share(): void;
    toggleStats(): void;
    invite(): void;
    leave(): void;
}

export class Controls {
    readonly element: HTMLElement;
    private readonly buttons: Record<Kind, HTMLButtonElement>;
    private readonly share: HTMLButtonElement;
    private readonly stats: HTMLButtonElement;

    constructor(actions: ControlActions) {
        const button = (
            id: string,
            className: string,
            act: () => void,
        ): HTMLButtonElement => {
            const made = el('button', { id, class: `round ${className}`, type: 'button' });
            made.addEventListener('click', act);
            return made;
        };
        const invite = button('invite', '', actions.invite);
        const leave = button('leave', 'danger', actions.leave);

        this.buttons = {
            audio: button('toggle-mic', '', () => actions.toggle('audio')),
            video: button('toggle-camera', '', () => actions.toggle('video')),
        };
        this.share = button('toggle-screen', '', actions.share);
        this.stats = button('toggle-stats', '', actions.toggleStats);
        face(invite, 'link', 'Copy the invitation link');
        face(this.stats, 'stats', 'Statistics');
        face(leave, 'leave', 'Leave the call');
        this.element = el(
            'nav',
            { class: 'controls', 'aria-label': 'Call controls' },
            this.buttons.audio,
            this.buttons.video,
            this.share,
            invite,
            this.stats,
            leave,
        );
    }

    update(call: Call, statsShown: boolean): void {
        this.updateKind(call, 'audio', 'mic', 'microphone');
        this.updateKind(call, 'video', 'camera', 'camera');
        this.share.disabled = !call.canShare();
        this.share.setAttribute('aria-pressed', String(call.sharing));
        face(
            this.share,
            'screen',
            call.sharing ? 'Stop sharing the screen' : 'Share the screen',
        );
        this.stats.setAttribute('aria-pressed', String(statsShown));
    }

    private updateKind(call: Call, kind: Kind, iconName: string, word: string): void {
        const off = call.muted[kind];
        const button = this.buttons[kind];

        button.disabled = !call.canSwitch(kind);
        button.classList.toggle('off', off);
        button.setAttribute('aria-pressed', String(off));
        face(
            button,
            off ? `${iconName}-off` : iconName,
            off ? `Turn the ${word} on` : `Turn the ${word} off`,
        );
    }
}

function face(button: HTMLButtonElement, iconName: string, label: string): void {
    if (button.title !== label) {
        button.title = label;
        button.setAttribute('aria-label', label);
        button.replaceChildren(icon(iconName));
    }
}
