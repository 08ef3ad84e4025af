#include "pg/conninfo.h"

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define UNREADABLE "cannot be read: it is keyword=value pairs, or a URI"
#define PASSWORD                                                                                   \
	"holds a password; use peer authentication, or passfile=/path to a file of passwords"

static const struct {
	const char *promise;
	const char *conninfo;
	const char *problem; /* "" = good */
} cases[] = {
	{ "nothing is the default", "", "" },
	{ "words", "host=/run/postgresql dbname=orderd", "" },
	{ "a URI", "postgresql://orderd@db.example:5432,db2.example/orderd?sslmode=require", "" },
	{ "a file of passwords is none", "passfile=/etc/orderd/pgpass", "" },
	{ "the file of a key is none", "sslkey=/etc/orderd/key.pem", "" },
	{ "no password is none", "password='' dbname=d", "" },
	{ "a word in a value is none", "application_name='my password=none'", "" },
	{ "a realm is none", "postgresql://h:5432/d?user=me@realm", "" },
	{ "a password", "host=a password=hunter", PASSWORD },
	{ "a key's password", "sslpassword=hunter", PASSWORD },
	{ "a password in quotes", "host='a'password = 'hunter'", PASSWORD },
	{ "a password of a URI", "postgres://u:hunter@h/d", PASSWORD },
	{ "a password of a URI in percents", "postgres://u:%68unter@h/d", PASSWORD },
	{ "a parameter", "postgresql:///d?password=hunter", PASSWORD },
	{ "a parameter in percents", "postgresql:///d?p%61ssword=hunter", PASSWORD },
	{ "an unknown word is named", "hots=a",
		"cannot be read: invalid connection option \"hots\"" },
	{ "and one of a URI", "postgresql:///d?hots=a",
		"cannot be read: invalid URI query parameter: \"hots\"" },
	{ "a lonely word is not, nor is what follows: it may be a secret", "hunter", UNREADABLE },
	{ "a secret that ends as base64 does is no word", "Hunter2=", UNREADABLE },
	{ "nor is a long one", "hunterhunterhunterhunterhunterhunter=", UNREADABLE },
	{ "the end of a password is not named", "password=a hunter=b", UNREADABLE },
	{ "in capitals neither", "PASSWORD=hunter", UNREADABLE },
	{ "nor that of a URI's", "postgresql://u:a/d?hunter=b@h/d", UNREADABLE },
	{ "nor behind a parameter in percents", "postgresql:///d?p%61ssword=a&hunter=b",
		UNREADABLE },
	{ "a quote that does not end", "password='hunter", UNREADABLE },
	{ "a URI that is none", "postgresql://u:hunter@[::1/d", UNREADABLE },
	{ "a percent that is none", "postgresql://u:hunter%zz@h/d", UNREADABLE },
};

int main(void)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct problem problem = { "" };
		bool good = conninfo_judge(cases[i].conninfo, &problem);

		CHECK(good == (cases[i].problem[0] == '\0') &&
				strcmp(problem.text, cases[i].problem) == 0 &&
				!strstr(problem.text, "unter"),
			"%s (%s)", cases[i].promise, problem.text);
	}
	return check_done();
}
