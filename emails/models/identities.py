"""The rows about identities: SES keeps the identities themselves, but does not tell everything about them."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Identity(models.Model):
    """An identity of SES, without a table here; the model exists for permissions and entries in the admin's log."""

    name = models.CharField(max_length=255, primary_key=True)

    class Meta:
        managed = False
        default_permissions = ()
        verbose_name_plural = "identities"
        permissions = [
            ("view_identity", "Can view identities"),
            ("verify_identity", "Can verify identities"),
            ("delete_identity", "Can delete identities"),
            ("set_mail_from", "Can set the MAIL FROM domain of identities"),
            ("set_default_sender", "Can choose the address that emails are sent from"),
            ("send_test_email", "Can send a test email"),
        ]

    def __str__(self) -> str:
        return self.name


class IdentityStatus(models.Model):
    """The last known status of an identity, and since when; see ``emails.identities.status_history``."""

    # The name as SES writes it.
    name = models.CharField(max_length=255, primary_key=True)
    status = models.CharField(max_length=20)
    since = models.DateTimeField()
    # True if we saw another status before; if not, the identity may have had this status for a long time.
    is_witnessed = models.BooleanField(default=False)
    seen_at = models.DateTimeField()

    class Meta:
        # The table keeps its first name: a release before the renaming may still run beside this one.
        db_table = "emails_identitysighting"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class SesAnswer(models.Model):
    """The last answer of SES or DNS to a question that pages show; see ``emails.identities.answers``."""

    question = models.CharField(max_length=300, primary_key=True)
    value = models.JSONField(null=True)
    value_at = models.DateTimeField(null=True)
    # Why the last try brought no value; empty if it brought one.
    problem = models.TextField(blank=True)
    tried_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.question


class Brand(models.Model):
    """The sender and the letterhead of a brand's emails, as staff set them; see ``emails.ses.brands``.

    An empty field means the default. A brand that nobody changed has no row.
    """

    class Colour(models.TextChoices):
        """The accent colours that ``partials/accent.hbs`` knows."""

        INDIGO = "indigo"
        BLUE = "blue"
        TEAL = "teal"
        GREEN = "green"
        ORANGE = "orange"
        RED = "red"
        PURPLE = "purple"
        SLATE = "slate"

    # Rows of a release before brands are those of the shop, and such a release reads only the row 1.
    key = models.CharField(max_length=30, unique=True, default="shop", db_default="shop")
    address = models.EmailField("sender", blank=True)
    display_name = models.CharField("name of the sender", max_length=100, blank=True)
    reply_to = models.EmailField("replies go to", blank=True, default="", db_default="")
    name = models.CharField(
        "name on the letterhead", max_length=100, blank=True, default="", db_default=""
    )
    mark = models.CharField(
        "letter in the logo", max_length=2, blank=True, default="", db_default=""
    )
    colour = models.CharField(max_length=10, choices=Colour, blank=True, default="", db_default="")
    footer = models.CharField(
        "postal address", max_length=300, blank=True, default="", db_default=""
    )
    support = models.EmailField("address for questions", blank=True, default="", db_default="")
    # An image instead of the letter and the name.
    logo = models.CharField("logo", max_length=500, blank=True, default="", db_default="")
    logo_alt = models.CharField(
        "text of the logo", max_length=100, blank=True, default="", db_default=""
    )
    logo_width = models.PositiveSmallIntegerField(
        "width of the logo",
        null=True,
        blank=True,
        validators=[MinValueValidator(16), MaxValueValidator(400)],
    )
    chosen_by = models.CharField(max_length=150)
    chosen_at = models.DateTimeField()

    class Meta:
        # The table keeps its first name: a release before brands may still run beside this one.
        db_table = "emails_defaultsender"
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
